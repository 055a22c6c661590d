"""A call that still runs, watched: from a program that streams, through a real server, to whoever reads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like.core.wire import to_wire
from freeplay_like.local.simulator import Simulator
from freeplay_like.recording.recorder import JournalRecorder
from support.backend import BackendProcess
from support.events import events
from support.plain_records import a_record
from support.sink import KEY, Sink, make_record, make_start
from support.waiting import until

PROGRAM = """
import sys
from freeplay_like import Freeplay, OpenAIChat
with Freeplay(OpenAIChat("sk-test")) as fp:
    session = fp.create_session(sys.argv[1])
    with session.get_completion_stream("count", {}, model=sys.argv[2]) as stream:
        print(stream.record_id, flush=True)
        for chunk in stream:
            pass
print(stream.text)
"""
SLOWLY = "sim:chunks=40,delay_ms=100"
FOR_EVER = "sim:chunks=100000,delay_ms=50"


@pytest.fixture
def person(own_backend: BackendProcess) -> Iterator[requests.Session]:
    with requests.Session() as browser:
        browser.get(own_backend.sign_in_url(), timeout=20, allow_redirects=False).raise_for_status()
        yield browser


def live_address(backend: BackendProcess, record_id: str) -> str:
    return f"{backend.url}/projects/{backend.project_id}/calls/{record_id}/live"


@contextlib.contextmanager
def program(
    backend: BackendProcess, simulator: Simulator, tmp_path: Path, model: str
) -> Iterator[subprocess.Popen[str]]:
    stored = requests.post(
        f"{backend.project_base}/prompt-templates/name/count/versions",
        json={"template_messages": [{"role": "user", "content": "Count."}], "provider": "openai", "model": "gpt-sim"},
        headers=backend.headers,
        timeout=20,
    )
    assert stored.status_code == 201, stored.text
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": simulator.openai_base,
        "FREEPLAY_LIKE_API_BASE": backend.api_base,
        "FREEPLAY_LIKE_API_KEY": backend.api_key,
        "FREEPLAY_LIKE_SPOOL_DIR": str(tmp_path / "spool"),
    }
    command = [sys.executable, "-c", PROGRAM, backend.project_id, model]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def begun(backend: BackendProcess, person: requests.Session, record_id: str) -> requests.Response:
    """The stream of a call, once the server knows it."""

    def opened() -> requests.Response | None:
        answer = person.get(live_address(backend, record_id), stream=True, timeout=60)
        if next(events(answer)).name == "text":
            answer.close()
            return person.get(live_address(backend, record_id), stream=True, timeout=60)
        answer.close()
        return None

    answer = until(opened, 30, "a call that can be watched")
    assert answer is not None
    return answer


def test_a_call_is_seen_growing_and_ends_with_its_record(
    own_backend: BackendProcess, simulator: Simulator, person: requests.Session, tmp_path: Path
) -> None:
    with program(own_backend, simulator, tmp_path, SLOWLY) as process:
        record_id = first_line(process)
        with begun(own_backend, person, record_id) as answer:
            *texts, end = list(events(answer))
        shown = "".join(event.data for event in texts)
        assert end.name == "end"
        assert len(texts) > 1, "it came in pieces"
        assert int(texts[-1].id) == len(shown)
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read().strip().startswith(shown.strip())
    call = person.get(f"{own_backend.url}/projects/{own_backend.project_id}/calls/{record_id}.json", timeout=20).json()
    assert call["call"]["record"]["outcome"] == "complete"


def test_a_reader_that_comes_back_is_sent_what_it_lacks(own_backend: BackendProcess, person: requests.Session) -> None:
    record = a_record(own_backend.project_id)
    tell(own_backend, {"record_id": record.record_id, "record": record, "text": "<b>one</b>\r\ntwo"})
    with person.get(live_address(own_backend, record.record_id), stream=True, timeout=30) as answer:
        first = next(events(answer))
    assert first.data == "&lt;b&gt;one&lt;/b&gt;\ntwo"
    tell(own_backend, {"record_id": record.record_id, "at": int(first.id), "text": " three"})
    with person.get(
        live_address(own_backend, record.record_id), stream=True, timeout=30, headers={"Last-Event-ID": first.id}
    ) as answer:
        assert next(events(answer)).data == " three"


def tell(backend: BackendProcess, *calls: object) -> list[str]:
    told = requests.post(
        f"{backend.project_base}/records:live", data=to_wire({"calls": calls}), headers=backend.headers, timeout=20
    )
    assert told.status_code == 200, told.text
    unknown: list[str] = told.json()["unknown"]
    return unknown


def test_what_the_server_does_not_know_it_asks_for(own_backend: BackendProcess) -> None:
    record = a_record(own_backend.project_id)
    assert tell(own_backend, {"record_id": record.record_id, "at": 3, "text": "more"}) == [record.record_id]
    assert tell(own_backend, {"record_id": record.record_id, "record": record, "text": "all"}) == []
    assert tell(own_backend, {"record_id": record.record_id, "at": 3, "text": "more"}) == []


def test_a_program_that_is_killed_leaves_what_it_had(
    own_backend: BackendProcess, simulator: Simulator, person: requests.Session, tmp_path: Path
) -> None:
    with program(own_backend, simulator, tmp_path, FOR_EVER) as process:
        record_id = first_line(process)
        with begun(own_backend, person, record_id) as answer:
            told = events(answer)
            assert next(told).name == "text"
            process.send_signal(signal.SIGKILL)
            process.wait(30)
            recorder = JournalRecorder(own_backend.api_base, own_backend.api_key, spool_dir=tmp_path / "spool")
            recorder.flush(20)  # another program of the same user brings what the first has left
            recorder.close()
            assert [event.name for event in told][-1] == "end"
    address = f"{own_backend.url}/projects/{own_backend.project_id}/calls/{record_id}.json"
    assert person.get(address, timeout=20).json()["call"]["record"]["outcome"] == "interrupted"


@pytest.mark.parametrize("status", [404, 405])
def test_an_older_backend_is_asked_once_and_stores_as_before(status: int, tmp_path: Path) -> None:
    with Sink() as sink:
        sink.live_status = status
        recorder = JournalRecorder(sink.base, KEY, spool_dir=tmp_path)
        first, second = make_record(), make_record()
        recorder.start(make_start(first))
        recorder.progress(first.record_id, "some")
        until(lambda: sink.told, what="the backend is told")
        recorder.start(make_start(second))
        recorder.submit(first)
        recorder.submit(second)
        report = recorder.close(20)
        assert (report.sent, report.pending, report.dropped, report.errors) == (2, 0, 0, ())
        assert len(sink.told) == 1


@pytest.mark.parametrize("durability", ["process", "memory"])
def test_secrets_are_taken_out_of_what_is_told(durability: str, tmp_path: Path) -> None:
    with Sink() as sink:
        recorder = JournalRecorder(sink.base, KEY, spool_dir=tmp_path, durability=durability)  # type: ignore[arg-type]
        record = make_record(metadata={"note": f"the key is {KEY}"})
        recorder.start(make_start(record))
        recorder.progress(record.record_id, f"they say {KEY}")
        until(lambda: sink.told, what="the backend is told")
        recorder.close(20)
        ((call,),) = sink.told
        assert call["text"] == "they say [redacted]"
        assert KEY not in str(sink.told)


def test_a_hook_hides_the_text_of_a_running_call(tmp_path: Path) -> None:
    with Sink() as sink:
        recorder = JournalRecorder(
            sink.base, KEY, spool_dir=tmp_path, redact=lambda record: attrs.evolve(record, messages=())
        )
        record = make_record()
        recorder.start(make_start(record))
        recorder.progress(record.record_id, "private")
        until(lambda: sink.told, what="the backend is told")
        recorder.close(20)
        ((call,),) = sink.told
        assert (call["text"], call["record"]["messages"]) == ("", [])


def test_it_is_not_told_where_that_is_not_wanted(tmp_path: Path) -> None:
    with Sink() as quiet, Sink() as sink:
        silent = JournalRecorder(quiet.base, KEY, spool_dir=tmp_path, live=False)
        recorder = JournalRecorder(sink.base, KEY, spool_dir=tmp_path)
        for each in (silent, recorder):
            each.start(make_start(make_record()))
        until(lambda: sink.told, what="the backend that is told")
        silent.close(20)
        recorder.close(20)
        assert quiet.told == []


def test_a_forked_child_does_not_tell_of_its_parents_calls(tmp_path: Path) -> None:
    with Sink() as sink:
        recorder = JournalRecorder(sink.base, KEY, spool_dir=tmp_path)
        record = make_record()
        recorder.start(make_start(record))
        until(lambda: sink.told, what="the parent tells")
        child = os.fork()
        if child == 0:
            try:
                own = make_record()
                recorder.start(make_start(own))
                recorder.submit(own)
                told = [call for call in recorder._running.now() if call.record_id == record.record_id]
                recorder.close(10)
                os._exit(len(told))
            finally:
                os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        recorder.submit(record)
        assert recorder.close(20).sent == 1
        assert len(sink.records) == 2
