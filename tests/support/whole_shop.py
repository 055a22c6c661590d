"""A project with something of everything that pages show: answers of a real small model among its calls."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
import pytest
import requests

from freeplay_like import Freeplay, OpenAIChat
from freeplay_like.core.reviews import Review, Verdict
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.local.llama import LlamaServer
from support.backend import BackendProcess
from support.records import special_records
from support.shop import Shop

QUESTIONS = ("How long does rye bread keep?", "Is there a cake without nuts?")


@attrs.frozen
class WholeShop:
    """The project, and the names of what is in it."""

    shop: Shop
    versions: tuple[str, str]
    runs: tuple[str, str]

    def at(self, place: str) -> str:
        """An address in the project."""
        return f"{self.shop.backend.url}/projects/{self.shop.project_id}/{place}"


def ask(shop: Shop, method: str, path: str, body: JsonValue = None) -> JsonObject:
    """The API of the project."""
    address = f"{shop.backend.api_base}/v2/projects/{shop.project_id}/{path}"
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    answer = requests.request(method, address, json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    found: JsonObject = answer.json()
    return found


def make_whole(shop: Shop, llama: LlamaServer) -> WholeShop:
    """Fill a project: records, a template in two versions, what a model answered to it, a dataset, runs, reviews."""
    shop.records = shop.maker(seed=7).make(64)
    shop.special = special_records(shop.project_id)
    shop.post(*shop.records, *shop.special.values())
    first = _version(shop, llama, "Answer in one sentence: {{question}}", "prod")
    second = _version(shop, llama, "You run a bakery. In one sentence: {{question}}", "staging")
    made = ask(shop, "POST", "prompt-datasets", {"name": "questions", "input_names": ["question"]})
    examples: list[JsonValue] = [{"inputs": {"question": text}, "output": "About a week."} for text in QUESTIONS]
    ask(shop, "POST", f"datasets/id/{made['id']}/test-cases", {"examples": examples})
    with Freeplay(OpenAIChat("not needed", llama.url), shop.api_key, shop.backend.api_base, max_tokens=40) as fp:
        chat, _, stream = fp.start_chat_stream(shop.project_id, "house/answer", {"question": QUESTIONS[0]}, "prod")
        stream.result()
        chat.send("And in summer?")
        runs = tuple(_run(shop, fp, name, environment) for name, environment in (("one", "prod"), ("two", "staging")))
        assert fp.flush(30).pending == 0
    ask(shop, "PUT", "providers/openai_chat", {"base_url": llama.url, "secret": "s" * 20})
    _review(shop)
    return WholeShop(shop, (first, second), (runs[0], runs[1]))


def _version(shop: Shop, llama: LlamaServer, text: str, environment: str) -> str:
    body: JsonObject = {
        "template_messages": [{"role": "user", "content": text}],
        "model": llama.model,
        "provider": "openai",
        "environments": [environment],
        "llm_parameters": {"max_tokens": 40},
    }
    made = ask(shop, "POST", "prompt-templates/name/house%2Fanswer/versions", body)
    return str(made["prompt_template_version_id"])


def _run(shop: Shop, fp: Freeplay, name: str, environment: str) -> str:
    run = fp.create_test_run(shop.project_id, "questions", name=name)
    session = run.create_session(shop.project_id, environment)
    for case in run.cases:
        answer = session.get_completion("house/answer", case.variables)
        fp.score(shop.project_id, answer.record_id, "is_short", len(answer.content) < 120)
    return str(run.test_run_id)


def _review(shop: Shop) -> None:
    """A saved view, and what two people say of some of its calls."""
    with shop.backend.store() as store:
        project = store.projects.get(shop.project_id)
        assert project is not None
        store.saved_views.create(project, name="complete", query="outcome:complete", period=None, person_id=None)
        verdicts: Iterator[Verdict] = itertools.cycle(("good", "bad", "good"))
        for name in ("Ann Baker", "Bo Miller"):
            person = store.people.create(f"{name} of {shop.name}", "reviewer")
            for record in shop.records[:7]:
                review = Review(
                    record_id=record.record_id,
                    reviewer_id=person.id,
                    reviewer=person.name,
                    made_at=store.now(),
                    verdict=next(verdicts),
                    note="Too long." if record is shop.records[0] else "",
                )
                store.reviews.say(project, review)


@pytest.fixture(scope="session")
def whole(big_backend: BackendProcess, llama: LlamaServer) -> WholeShop:
    """Such a project, on the server that also holds very many calls in another one."""
    return make_whole(Shop(backend=big_backend, name="whole"), llama)
