"""What of a call its page shows, as its address says."""

from __future__ import annotations

from typing import Final, Literal, TypeVar, cast, get_args

import attrs
from starlette.requests import Request

from freeplay_like.server.pages.addresses import call_address

Tab = Literal["overview", "parameters", "timeline", "tools", "cost", "raw", "history", "code"]
"""What stands beside the conversation."""

Style = Literal["auto", "text", "markdown"]
"""How texts are shown: `auto` is text, and JSON with its lines; `text` as it came to the letter."""

Source = Literal["rendered", "template"]
"""The messages as they were sent, or the template's own."""

TABS: Final[tuple[Tab, ...]] = get_args(Tab)
CHOICES_LIMIT: Final = 1_000
"""The most answers of a call that the page tells apart."""

T = TypeVar("T", bound=str)


@attrs.frozen(kw_only=True)
class View:
    """What is shown. `choice` is the answer, counted from 1; `is_whole` shows everything, however long it is."""

    tab: Tab = "overview"
    style: Style = "auto"
    source: Source = "rendered"
    choice: int = 1
    is_whole: bool = False

    def address(self, project_id: str, record_id: str) -> str:
        """The page's address with this view: it says what is not as it is of itself."""
        return call_address(
            project_id,
            record_id,
            tab=None if self.tab == "overview" else self.tab,
            **{"as": None if self.style == "auto" else self.style},
            prompt=None if self.source == "rendered" else self.source,
            choice=None if self.choice == 1 else str(self.choice),
            whole="1" if self.is_whole else None,
        )


def view_of(request: Request) -> View:
    """What an address asks for; what it says that is nothing is left out, as in a link of another release."""
    said = request.query_params
    choice = said.get("choice", "1")
    number = int(choice) if choice.isascii() and choice.isdigit() and len(choice) <= 4 else 1
    return View(
        tab=_one_of(TABS, said.get("tab"), "overview"),
        style=_one_of(cast("tuple[Style, ...]", get_args(Style)), said.get("as"), "auto"),
        source=_one_of(cast("tuple[Source, ...]", get_args(Source)), said.get("prompt"), "rendered"),
        choice=min(max(number, 1), CHOICES_LIMIT),
        is_whole=said.get("whole") == "1",
    )


def _one_of(known: tuple[T, ...], said: str | None, otherwise: T) -> T:
    return next((each for each in known if each == said), otherwise)
