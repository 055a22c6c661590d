"""The description of the API is true: what it says can be sent is answered as it says, and nothing gives a 500."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from freeplay_like.core.chunks import Usage
from freeplay_like.core.wire import to_wire
from freeplay_like.server.api import OPERATIONS
from freeplay_like.server.bare import BARE
from support.backend import BackendProcess, Deployment
from support.plain_records import a_record

pytestmark = pytest.mark.over("sqlite", "postgres")

TIMEOUT_S = 30
EXAMPLES = 12
"""For each operation and way of making requests: enough to find what is wrong for most values of a field."""

EXAMPLES_OF_RECORDS = 3
"""A record has so many fields that making one up takes a second."""

ENDS_THE_TEST = {"delete_project"}
"""With the project's own id: the others are asked of that project."""

ADDRESSES = [(one.method, re.sub(r"\{(\w+):path\}", r"{\1}", one.path), one.name) for one in (*OPERATIONS, *BARE)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[BackendProcess]:
    """A server of this file's own: all of its operations are tried, those that delete too."""
    with deployment.running(tmp_path_factory.mktemp("openapi") / "data", project="described") as process:
        yield process


@pytest.fixture(scope="module")
def schema(server: BackendProcess) -> Any:
    import schemathesis

    return schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")


@pytest.fixture(scope="module")
def known_ids(server: BackendProcess) -> dict[str, str]:
    """Things that there are, by the names that addresses have for their ids."""
    record = a_record(
        server.project_id,
        session_id="described",
        model="gpt-4o",
        requested_model="gpt-4o",
        usage=Usage(input_tokens=10, output_tokens=1),
    )
    batch = to_wire({"records": [record]})
    stored = requests.post(
        f"{server.project_base}/records:batch", data=batch, headers=server.headers, timeout=TIMEOUT_S
    )
    assert stored.json()["stored"] == 1, stored.text
    dataset = _made(server, "prompt-datasets", {"name": "described"})
    price = _made(
        server,
        "models",
        {"provider": "openai", "model": "described", "rates": {"input_usd": 1, "output_usd": 2}},
    )
    return {
        "project_id": server.project_id,
        "record_id": record.record_id,
        "session_id": "described",
        "dataset_id": dataset["id"],
        "price_id": price["id"],
    }


def _made(server: BackendProcess, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made = requests.post(f"{server.project_base}/{path}", json=body, headers=server.headers, timeout=TIMEOUT_S)
    assert made.status_code == 201, made.text
    return made.json()


@pytest.mark.parametrize(("method", "path", "name"), ADDRESSES, ids=[f"{one[0]} {one[1]}" for one in ADDRESSES])
def test_an_operation_answers_as_it_is_described(
    server: BackendProcess, schema: Any, known_ids: dict[str, str], method: str, path: str, name: str
) -> None:
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
    operation = schema[path][method]
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
    seen: set[int] = set()

    @settings(
        max_examples=(EXAMPLES_OF_RECORDS if name == "send_records" else EXAMPLES) * len(modes),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, knows_all=st.booleans())
    def ask(case: Any, knows_all: bool) -> None:
        for parameter in case.path_parameters or {}:
            is_safe = method != "DELETE" and parameter in known_ids and knows_all
            if (parameter == "project_id" and name not in ENDS_THE_TEST) or is_safe:
                case.path_parameters[parameter] = known_ids[parameter]
        response = case.call(headers=server.headers, timeout=TIMEOUT_S)
        seen.add(response.status_code)
        case.validate_response(response, checks=checks)

    ask()
    assert seen - {401}, "only requests without a key were made"


def test_every_operation_is_described_and_every_reference_leads_somewhere(server: BackendProcess) -> None:
    served = requests.get(f"{server.url}/api/openapi.json", timeout=TIMEOUT_S)
    document = served.json()
    assert document["openapi"] == "3.1.0"
    described = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    assert described == {(method, path) for method, path, _ in ADDRESSES}
    for reference in re.findall(r'"\$ref": ?"#/([^"]+)"', served.text):
        found = document
        for part in reference.split("/"):
            found = found[part]
        assert found


def test_operations_have_names_of_their_own(server: BackendProcess) -> None:
    document = requests.get(f"{server.url}/api/openapi.json", timeout=TIMEOUT_S).json()
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
