"""The backend as others meet it: commands, keys, the API's contract, signing in."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import to_wire
from freeplay_like.server.http import CONTENT_SECURITY_POLICY
from support.backend import CLI, START_S, BackendProcess
from support.plain_records import a_record

TIMEOUT_S = 30

VERSION = {
    "template_messages": [{"role": "system", "content": "You help {{name}}."}, {"kind": "history"}],
    "model": "gpt-x",
    "provider": "openai",
    "llm_parameters": {"temperature": 0.25},
}


def call(backend: BackendProcess, method: str, path: str, key: str | None = None, **more: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {key or backend.api_key}"}
    return requests.request(method, backend.url + whole(path), headers=headers, timeout=TIMEOUT_S, **more)


def whole(path: str) -> str:
    """The path on the server: what is not there already lies in the second version of the API."""
    return path if path.startswith("/api/") else f"/api/v2{path}"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLI, *arguments], capture_output=True, text=True, timeout=START_S)


# --- commands


def test_init_run_again_gives_the_same_project_and_key_and_a_new_link(tmp_path: Path) -> None:
    command = (
        "init",
        "--data",
        str(tmp_path / "data"),
        "--project",
        "shop",
        "--url",
        "http://127.0.0.1:4711/",
        "--json",
    )
    first, second = (json.loads(run(*command).stdout) for _ in range(2))
    assert (first["project_id"], first["api_key"]) == (second["project_id"], second["api_key"])
    assert first["admin_url"] != second["admin_url"]
    assert first["admin_url"].startswith("http://127.0.0.1:4711/sign-in?token=")
    assert first["api_base"] == "http://127.0.0.1:4711/api"
    keys = tmp_path / "data" / "init-keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.parent.stat().st_mode) == 0o700


def test_init_beside_a_running_server_is_seen_by_it(backend: BackendProcess) -> None:
    other = json.loads(run("init", "--data", str(backend.data_dir), "--project", "beside", "--json").stdout)
    projects = call(backend, "GET", "/projects/all", key=other["api_key"]).json()["projects"]
    assert projects == [{"id": other["project_id"], "name": "beside"}]


def test_init_puts_a_folder_of_templates_into_the_project(backend: BackendProcess, tmp_path: Path) -> None:
    (tmp_path / "trips").mkdir()
    (tmp_path / "trips" / "plan.prompt").write_text('+++\nmodel = "m"\n+++\n=== user ===\nPlan {{city}}\n')
    for _ in range(2):
        backend.init("--templates", str(tmp_path))
    answer = call(backend, "GET", f"/projects/{backend.project_id}/prompt-templates/name/trips/plan").json()
    template = PromptTemplate.from_wire(answer, source="backend")
    assert (template.name, template.version, template.variables, template.model) == ("trips/plan", "1", ("city",), "m")


@pytest.mark.parametrize("text", ["{", '["fpl_x"]'])
def test_init_leaves_a_damaged_key_file_alone(tmp_path: Path, text: str) -> None:
    keys = tmp_path / "init-keys.json"
    keys.write_text(text)
    done = run("init", "--data", str(tmp_path), "--project", "shop")
    assert (done.returncode, done.stdout) == (1, "")
    assert "move it away" in done.stderr
    assert keys.read_text() == text


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--data", str(tmp_path), "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: port {port} on 127.0.0.1 is taken by another program: stop it, or choose another port with --port "
        "(--port 0 takes a free one)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "--allow-remote"),  # noqa: S104  it is refused
        (("--port", "99999"), "not between 0 and 65535"),
        (("--host", "no-such-host.invalid", "--allow-remote"), "cannot listen on"),
        (("--data", "/dev/null/x"), "cannot be made"),
    ],
)
def test_serve_says_why_it_does_not_start(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("serve", "--data", str(tmp_path), "--port", "0", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_serve_refuses_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "freeplay_like.db").write_bytes(b"something else" * 1_000)
    done = run("serve", "--data", str(tmp_path), "--port", "0")
    assert done.returncode == 1
    assert "cannot be used" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serve_prints_where_it_is_and_the_first_way_in(tmp_path: Path, number: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [*CLI, "serve", "--data", str(tmp_path), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        (link,) = re.findall(r"http://\S+/sign-in\?token=\S+", lines[1])
        answer = requests.get(link, allow_redirects=False, timeout=TIMEOUT_S)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    finally:
        process.send_signal(number)
        _, errors = process.communicate(timeout=START_S)
    assert (process.returncode, errors) == (status, "")


def test_the_version_comes_without_loading_the_server() -> None:
    code = (
        "import sys; sys.argv = ['freeplay-like', '--version']\n"
        "from freeplay_like.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & {'sqlalchemy', 'starlette', 'openai', 'requests', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=START_S)
    version, loaded = done.stdout.splitlines()
    assert version.startswith("freeplay-like, version ")
    assert loaded == "[]"


# --- keys: every route of the API


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer sk-something",
        "Bearer fpl_aaaaaaaa_" + "b" * 32 + "_cccccc",
        "Bearer ' OR '1'='1",
        'Bearer "; DROP TABLE api_key; --',
    ],
)
def test_what_is_no_good_key_is_refused(backend: BackendProcess, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = requests.get(backend.url + whole("/projects/all"), headers=headers, timeout=TIMEOUT_S)
    assert answer.status_code == 401
    assert list(answer.json()) == ["message"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


# --- the contract of templates


def test_a_template_is_written_and_read_in_freeplays_words(backend: BackendProcess) -> None:
    base = f"/projects/{backend.project_id}/prompt-templates"
    made = call(
        backend, "POST", f"{base}/name/support/hello there/versions", json={**VERSION, "environments": ["prod"]}
    )
    assert made.status_code == 201
    template = made.json()
    for field in ("prompt_template_id", "prompt_template_version_id", "prompt_template_name", "project_id"):
        assert isinstance(template[field], str)
    assert template["format_version"] == 3
    assert template["metadata"]["flavor"] == "openai_chat"
    assert template["metadata"]["params"] == {"temperature": 0.25}
    assert template["content"][1] == {"kind": "history"}
    again = call(backend, "POST", f"{base}/name/support/hello there/versions", json=VERSION)
    assert again.status_code == 201
    assert again.json()["prompt_template_version_id"] == template["prompt_template_version_id"]
    read = call(backend, "GET", f"{base}/name/support/hello%20there?environment=prod")
    assert (read.status_code, read.json()) == (200, {**template, "environment": "prod"})
    ids = f"{base}/id/{template['prompt_template_id']}/versions/{template['prompt_template_version_id']}"
    assert call(backend, "GET", ids).json() == template
    listed = call(backend, "GET", f"{base}/all/prod").json()["prompt_templates"]
    assert {**template, "environment": "prod"} in listed
    assert call(backend, "POST", f"{ids}/environments", json={"environments": ["dev"]}).status_code == 200
    assert call(backend, "GET", f"{base}/name/support/hello%20there?environment=dev").status_code == 200
    missing = call(backend, "GET", f"{base}/name/support/hello%20there?environment=prod")
    assert missing.status_code == 404
    assert "it has dev, latest" in missing.json()["message"]
    near = call(backend, "GET", f"{base}/name/support/hello%20ther?environment=prod")
    assert "near names: 'support/hello there'" in near.json()["message"]


def test_a_template_that_did_not_change_is_not_sent_again(backend: BackendProcess) -> None:
    path = f"/projects/{backend.project_id}/prompt-templates/name/etag"
    call(backend, "POST", f"{path}/versions", json=VERSION)
    first = call(backend, "GET", path)
    headers = {**backend.headers, "If-None-Match": first.headers["ETag"]}
    url = f"{backend.api_base}/v2{path}"
    second = requests.get(url, headers=headers, timeout=TIMEOUT_S)
    assert (second.status_code, second.content) == (304, b"")
    call(backend, "POST", f"{path}/versions", json={**VERSION, "model": "gpt-y"})
    third = requests.get(url, headers=headers, timeout=TIMEOUT_S)
    assert (third.status_code, third.json()["metadata"]["model"]) == (200, "gpt-y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "$.model"),
        ({"template_messages": "x"}, "$.template_messages"),
        ({"template_messages": [{"role": "king", "content": "x"}]}, "content[0].role"),
        ({"template_messages": [{"role": "user", "content": "{{#open}}"}]}, "message 1"),
        ({"syntax": "jinja"}, "known: mustache"),
        ({"environments": ["a/b"]}, "environment's name"),
        ({"environments": [""]}, "environment's name"),
    ],
)
def test_a_bad_version_is_refused_by_its_field(
    backend: BackendProcess, change: dict[str, object], message: str
) -> None:
    path = f"/projects/{backend.project_id}/prompt-templates/name/bad/versions"
    answer = call(backend, "POST", path, json={**VERSION, **change})
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_a_project_is_made_with_a_key_of_its_own(backend: BackendProcess) -> None:
    made = call(backend, "POST", "/projects", json={"name": "by the API"})
    assert made.status_code == 201
    own = call(backend, "GET", "/projects/all", key=made.json()["api_key"]).json()
    assert own == {"projects": [{"id": made.json()["id"], "name": "by the API"}]}
    assert call(backend, "POST", "/projects", json={"name": "by the API"}).status_code == 409
    assert call(backend, "POST", "/projects", json={"name": " "}).status_code == 400


# --- every answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/v2/projects", 405),
        ("GET", "/api/v2/projects/x/records:batch", 405),
        ("POST", "/healthz", 403),
        ("GET", "/projects/x/calls.json", 401),
        ("GET", "/sign-in?token=x&next=//elsewhere", 400),
        ("GET", "/sign-in?token=x&next=https://elsewhere", 400),
        ("GET", "/sign-in?token=x&next=/\\elsewhere", 400),
        ("GET", "/sign-in?token=wrong", 401),
    ],
)
def test_every_error_has_one_shape(backend: BackendProcess, method: str, path: str, status: int) -> None:
    answer = requests.request(method, backend.url + path, timeout=TIMEOUT_S, allow_redirects=False)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert (status != 405) or answer.headers["Allow"]


def test_what_is_not_http_is_refused_in_the_same_shape(backend: BackendProcess) -> None:
    with socket.create_connection(("127.0.0.1", int(backend.url.rpartition(":")[2])), timeout=TIMEOUT_S) as raw:
        raw.sendall(b"HELO mail.example\r\n\r\n")
        answer = raw.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert list(json.loads(body)) == ["message"]


def test_pages_come_with_headers_that_keep_browsers_out_of_trouble(backend: BackendProcess) -> None:
    answer = requests.get(backend.url, headers={"Accept": "text/html"}, timeout=TIMEOUT_S)
    assert answer.status_code == 401
    assert "freeplay-like init" in answer.text
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Server" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]:80"])
@pytest.mark.parametrize("path", ["/healthz", "/api/v2/projects/all", "/api/v2/projects/x/records:batch", "/"])
def test_a_name_that_is_not_ours_is_not_answered(backend: BackendProcess, host: str, path: str) -> None:
    method = "POST" if path.endswith("batch") else "GET"
    answer = requests.request(
        method, backend.url + path, headers={**backend.headers, "Host": host}, data=b"", timeout=TIMEOUT_S
    )
    assert answer.status_code == 400
    assert "does not answer to the host name" in answer.json()["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8000"])
def test_this_machines_own_names_are_answered(backend: BackendProcess, host: str) -> None:
    answer = requests.get(f"{backend.url}/healthz", headers={"Host": host}, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_a_body_without_end_is_refused_by_the_other_routes_too(backend: BackendProcess) -> None:
    path = f"/projects/{backend.project_id}/prompt-templates/name/large/versions"
    answer = call(backend, "POST", path, data=b"x" * (5 * 1024 * 1024))
    assert answer.status_code == 413
    assert list(answer.json()) == ["message"]


# --- people


def test_a_link_signs_in_one_browser_once(backend: BackendProcess) -> None:
    link = backend.sign_in_url()
    assert requests.head(link, timeout=TIMEOUT_S).status_code == 200, "a preview must not use the link up"
    person, late = requests.Session(), requests.Session()
    first = person.get(link, timeout=TIMEOUT_S, allow_redirects=False)
    assert (first.status_code, first.headers["Location"]) == (303, f"/projects/{backend.project_id}/calls")
    assert "HttpOnly; SameSite=Lax" in first.headers["Set-Cookie"]
    assert late.get(link, timeout=TIMEOUT_S).status_code == 401
    address = f"{backend.url}/projects/{backend.project_id}/calls.json"
    assert (person.get(address, timeout=TIMEOUT_S).status_code, late.get(address, timeout=TIMEOUT_S).status_code) == (
        200,
        401,
    )
    again = person.get(link, timeout=TIMEOUT_S, allow_redirects=False)
    assert again.status_code == 303, "who is signed in already just goes on"
    assert requests.get(address, headers=backend.headers, timeout=TIMEOUT_S).status_code == 401, "a key is no person"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_another_site_cannot_sign_a_person_out(backend: BackendProcess, headers: dict[str, str]) -> None:
    person = requests.Session()
    person.get(backend.sign_in_url(), timeout=TIMEOUT_S)
    refused = person.post(f"{backend.url}/sign-out", headers=headers, timeout=TIMEOUT_S)
    assert refused.status_code == 403
    address = f"{backend.url}/projects.json"
    assert person.get(address, timeout=TIMEOUT_S).status_code == 200
    cookies = dict(person.cookies)
    done = person.post(
        f"{backend.url}/sign-out", headers={"Origin": backend.url}, timeout=TIMEOUT_S, allow_redirects=False
    )
    assert done.status_code == 303
    assert not person.cookies
    assert requests.get(address, cookies=cookies, timeout=TIMEOUT_S).status_code == 401, "the session itself has ended"


def test_the_commands_of_the_documentation_work(backend: BackendProcess) -> None:
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", commands.replace("curl -s ", "curl -sS --fail-with-body ")],
        env={**os.environ, "BASE": backend.project_base, "KEY": backend.api_key},
        capture_output=True,
        text=True,
        timeout=START_S,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert '"pagination"' in done.stdout


def test_the_data_outlives_the_server(own_backend: BackendProcess) -> None:
    record = a_record(own_backend.project_id)
    path = f"/projects/{own_backend.project_id}"
    batch = to_wire({"records": [record]})
    assert call(own_backend, "POST", f"{path}/records:batch", data=batch).json()["stored"] == 1
    address = own_backend.url
    own_backend.restart()
    assert own_backend.url == address
    read = call(own_backend, "GET", f"{path}/completions/{record.record_id}").content
    assert read == to_wire(record)[:-1] + b',"amendments":[]}'
