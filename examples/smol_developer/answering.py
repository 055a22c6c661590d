"""Who answers: a provider with its key in the environment, a simulated one, or a small model on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import attrs

from freeplay_like import UNSET, Continuation, OpenAIChat
from freeplay_like.core.wire import JsonValue
from freeplay_like.flavors.base import Flavor
from freeplay_like.flavors.registry import flavor_named
from freeplay_like.local.llama import LlamaServer
from freeplay_like.local.model import get_model

from .screen import Screen
from .simulated import SimulatedDeveloper

Source = Literal["provider", "simulated", "local"]


@attrs.frozen(kw_only=True)
class Answering:
    """A flavor (None: the one that each template names), what is set for all calls, and how answers are continued."""

    flavor: Flavor | None
    model: JsonValue = UNSET
    max_tokens: JsonValue = UNSET
    continuation: Continuation = attrs.field(factory=lambda: Continuation(trim_overlap=True))


@contextmanager
def answering(source: Source, flavor_name: str | None, model: str | None, screen: Screen) -> Iterator[Answering]:
    """Who answers, for as long as this is open."""
    if source == "simulated":
        with SimulatedDeveloper(delay_ms=5) as simulator:
            yield Answering(flavor=OpenAIChat("not-needed", simulator.openai_base), model="simulated")
    elif source == "local":
        with LlamaServer(get_model(_Download(screen))) as llama:
            yield Answering(
                flavor=OpenAIChat("not-needed", llama.url),
                model=llama.model,
                max_tokens=400,
                continuation=Continuation(max_continues=0, ensure_complete=False),  # it would never come to an end
            )
    else:
        flavor = None if flavor_name is None else flavor_named(flavor_name)()
        yield Answering(flavor=flavor, model=model or UNSET)


@attrs.frozen
class _Download:
    """Tells how the model's download goes, a line for each tenth."""

    screen: Screen
    _tenths: set[int] = attrs.field(factory=set)

    def say(self, text: str) -> None:
        self.screen.say(text)

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        tenth = done_bytes * 10 // total_bytes
        if tenth not in self._tenths:
            self._tenths.add(tenth)
            self.say(f"  {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB")
