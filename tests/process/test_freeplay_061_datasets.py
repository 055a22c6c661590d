"""The unmodified client freeplay 0.6.1 against a real server: datasets, test runs and test suites."""

from __future__ import annotations

import uuid

import pytest

from support.backend import BackendProcess
from support.environments import Environment
from support.freeplay_061 import ask, run

pytestmark = pytest.mark.over("sqlite", "servers")

IMPORTS = """
from freeplay.resources.test_cases import DatasetTestCase
from freeplay.model import TestRunInfo
"""


def a_dataset(backend: BackendProcess, kind: str = "prompt") -> tuple[str, str]:
    """Name and id of a fresh dataset."""
    name = f"{kind}s {uuid.uuid4()}"
    made = ask(backend, "POST", f"{kind}-datasets", {"name": name})
    assert made.status_code == 201, made.text
    return name, made.json()["id"]


def a_template(backend: BackendProcess, name: str) -> dict[str, str]:
    body = {
        "template_messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": "{{question}}"}],
        "model": "gpt-4o",
        "provider": "openai",
        "environments": ["prod"],
    }
    made = ask(backend, "POST", f"prompt-templates/name/{name}/versions", body)
    assert made.status_code == 201, made.text
    return made.json()


def test_cases_are_created_and_read_back_by_the_client(freeplay_061: Environment, backend: BackendProcess) -> None:
    _, dataset_id = a_dataset(backend)
    read = run(
        freeplay_061,
        backend,
        IMPORTS
        + """
(dataset,) = ARGS[3:]
fp.test_cases.create(project, dataset, DatasetTestCase({"question": "q0"}, None))
fp.test_cases.create_many(project, dataset, [
    DatasetTestCase({"question": "q1", "deep": [1, {"a": None}]}, "a1",
        history=[{"role": "user", "content": [{"type": "text", "text": "before"}]}],
        metadata={"n": "1"},
        media_inputs={"pic": MediaInputUrl("url", "https://e.com/x.png")},
        output_message={"role": "assistant", "content": "a1"}),
    DatasetTestCase({"question": "q2"}, "a2"),
])
cases = fp.test_cases.get(project, dataset).test_cases
print(json.dumps([[c.inputs, c.output, c.metadata, c.history is not None, c.output_message is not None, bool(c.id)]
                  for c in cases]))
""",
        dataset_id,
    )
    assert read == [
        [{"question": "q0"}, None, None, False, False, True],
        [{"question": "q1", "deep": [1, {"a": None}]}, "a1", {"n": "1"}, True, True, True],
        [{"question": "q2"}, "a2", None, False, False, True],
    ]


def test_a_test_run_goes_from_its_cases_to_its_summary(freeplay_061: Environment, backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend)
    answered = run(
        freeplay_061,
        backend,
        IMPORTS
        + """
name, dataset = ARGS[3:]
fp.test_cases.create_many(project, dataset, [
    DatasetTestCase({"question": "q1"}, "a1",
        media_inputs={"pic": MediaInputBase64("base64", "iVBORw0KGgo=", "image/png")}),
    DatasetTestCase({"question": "q2"}, "a2"),
])
blind = fp.test_runs.create(project, name)
made = fp.test_runs.create(project, name, include_outputs=True, name="nightly", description="d",
    flavor_name="openai_chat", target_evaluation_ids=[uuid4()])
states = []
for number, case in enumerate(made.get_test_cases()):
    fp.recordings.create(RecordPayload(
        project_id=project,
        all_messages=[{"role": "user", "content": "Q"}, {"role": "assistant", "content": case.output}],
        session_info=fp.sessions.create().session_info,
        inputs=case.variables,
        eval_results={"good": number == 0, "grade": 4.0},
        test_run_info=made.get_test_run_info(case.id),
    ))
    found = fp.test_runs.get(project, made.test_run_id)
    states.append([found.status, found.name, found.description])
print(json.dumps({
    "blind": [case.output for case in blind.get_test_cases()],
    "media": made.get_test_cases()[0].media_variables["pic"].content_type,
    "states": states,
    "human": found.summary_statistics.human_evaluation,
    "missing": refused(lambda: fp.test_runs.create(project, "no such dataset")),
    "run": made.test_run_id,
}))
""",
        name,
        dataset_id,
    )
    assert answered["blind"] == [None, None]
    assert answered["media"] == "image/png"
    assert answered["states"] == [["in-progress", "nightly", "d"], ["complete", "nightly", "d"]]
    assert answered["human"] == {}
    assert answered["missing"] == ["FreeplayClientError", "Error while creating a test run. [404]"]
    state = ask(backend, "GET", f"test-runs/id/{answered['run']}").json()
    assert state["summary_statistics"]["client_evaluation"] == {"good": {"true": 1, "false": 1}, "grade": {"4.0": 2}}
    assert state["flavor_name"] == "openai_chat"


def test_an_agents_test_run_has_traces_for_its_results(freeplay_061: Environment, backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend, "agent")
    cases = [{"inputs": "find it", "outputs": "found"}, {"inputs": {"n": 1}, "outputs": {"n": 2}}]
    ask(backend, "POST", f"agent-datasets/{dataset_id}/test-cases/bulk", {"data": cases})
    answered = run(
        freeplay_061,
        backend,
        IMPORTS
        + """
(name,) = ARGS[3:]
made = fp.test_runs.create(project, name, include_outputs=True)
for case in made.get_trace_test_cases():
    session = fp.sessions.create()
    trace = session.create_trace(input=case.input, agent_name="finder")
    fp.recordings.create(RecordPayload(
        project_id=project,
        all_messages=[{"role": "user", "content": "step"}, {"role": "assistant", "content": "done"}],
        session_info=session.session_info,
        call_info=CallInfo(provider="openai", model="gpt-4o", usage=UsageTokens(10, 5)),
        parent_id=UUID(trace.trace_id),
    ))
    belongs = made.get_test_run_info(case.id)
    trace.record_output(project, case.output, eval_results={"good": True}, test_run_info=belongs)
found = fp.test_runs.get(project, made.test_run_id)
print(json.dumps([made.test_run_id, found.status, [[c.input, c.output] for c in made.get_trace_test_cases()]]))
""",
        name,
    )
    run_id, status, tried = answered
    assert (status, tried) == ("complete", [["find it", "found"], ['{"n":1}', '{"n":2}']])
    state = ask(backend, "GET", f"test-runs/id/{run_id}").json()
    assert (state["target_type"], state["records"], state["finished_test_cases"]) == ("agent", 2, 2)
    assert state["summary_statistics"]["client_evaluation"] == {"good": {"true": 2}}
    pages = ask(backend, "GET", f"test-runs/id/{run_id}/cases").json()["data"]
    assert [case["records"][0]["answer"] for case in pages] == ["found", '{"n":2}']


def test_a_suite_is_run_over_pages_of_cases_and_judged(freeplay_061: Environment, backend: BackendProcess) -> None:
    _, dataset_id = a_dataset(backend)
    examples = [{"inputs": {"question": f"q{number}"}, "output": f"a{number}"} for number in range(5)]
    ask(backend, "POST", f"datasets/id/{dataset_id}/test-cases", {"examples": examples})
    template = a_template(backend, f"suite-061-{uuid.uuid4()}")
    body = {
        "name": f"suite {uuid.uuid4()}",
        "description": "d",
        "test_list_id": dataset_id,
        "prompt_template_id": template["prompt_template_id"],
        "thresholds": {"good": 0.75},
    }
    suite = ask(backend, "POST", "test-suites", body)
    assert suite.status_code == 201, suite.text
    answered = run(
        freeplay_061,
        backend,
        IMPORTS
        + """
from freeplay.resources.test_suites import TestSuites
suite, version = ARGS[3:]
suites = TestSuites(fp.call_support, fp.recordings)  # the client makes them, and gives them no name
started = suites.run(project, suite, environment="prod", name="tonight", page_size=2)
pinned = suites.run(project, suite, prompt_template_version_id=version)
before = started.get_results()
for number, case in enumerate(started.test_cases):
    prompt = started.format_prompt(case)
    started.record(case, [*prompt.llm_prompt, {"role": "assistant", "content": case.output}],
        call_info=CallInfo.from_prompt_info(prompt.prompt_info, 1795226499.5, 1795226500.5, UsageTokens(10, 5)),
        eval_results={"good": number > 0})
after = started.get_results()
print(json.dumps({
    "run": [started.target_type, started.total_test_cases, started.suite_id == suite, pinned.run_id != started.run_id],
    "before": [before.status, before.passed],
    "after": [after.status, after.passed, after.eval_results, after.summary_statistics.client_evaluation],
    "messages": prompt.llm_prompt,
    "execute": refused(lambda: suites.execute(project, suite, environment="prod")),
    "environment": refused(lambda: suites.run(project, suite, environment="nowhere")),
    "unknown": refused(lambda: suites.run(project, "no-such-suite")),
    "id": started.run_id,
}))
""",
        suite.json()["id"],
        template["prompt_template_version_id"],
    )
    assert answered["run"] == ["prompt", 5, True, True]
    assert answered["before"] == ["in-progress", None]
    judged = {"good": {"mean": 0.8, "threshold": 0.75, "passed": True}}
    assert answered["after"] == ["complete", True, judged, {"good": {"true": 4, "false": 1}}]
    assert answered["messages"][-1] == {"role": "user", "content": "q4"}
    assert answered["execute"] == ["FreeplayClientError", "Error executing test suite run [409]"]
    assert (answered["environment"][0], answered["unknown"][0]) == ("FreeplayClientError", "FreeplayClientError")
    state = ask(backend, "GET", f"test-runs/id/{answered['id']}").json()
    assert state["prompt_template_version_id"] == template["prompt_template_version_id"]
    assert (state["name"], state["environment"], state["results"]["input_tokens"]["total"]) == ("tonight", "prod", 50.0)
