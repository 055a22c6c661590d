"""What came of a replay: the answers beside the originals, while they come and after."""

from __future__ import annotations

from typing import Final, Literal

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.likeness import said_in
from freeplay_like.core.records import Record
from freeplay_like.core.wire import JsonObject
from freeplay_like.server import planning
from freeplay_like.server.pages import formats
from freeplay_like.server.pages.addresses import replay_result_address
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import project_of
from freeplay_like.server.pages.replay.many import offset_of
from freeplay_like.server.pages.word_diff import Stretch, only, word_diff
from freeplay_like.server.state import State
from freeplay_like.server.store.live import LiveCall
from freeplay_like.server.store.trials.replay_views import Replay, ReplayItem
from freeplay_like.server.store.views import CallRow, Project

ITEMS_A_PAGE: Final = 25
COMPARED_LIMIT: Final = 4
"""How many calls stand side by side at most, see Compare."""

Verdict = Literal["better", "worse", ""]


@attrs.frozen
class Figure:
    """A number of an answer beside that of the original: as people read it, and what is different."""

    name: str
    answer: str
    original: str
    difference: str
    verdict: Verdict


@attrs.frozen(kw_only=True)
class Pair:
    """A call of a replay with its answer, and what it is compared with. `live` is the call while it runs.

    `original` is None where there is none, or it is gone.
    """

    item: ReplayItem
    original: Record | None
    answer: Record | None
    live: LiveCall | None

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The way from the original's answer to this one, word by word."""
        if self.original is None or self.answer is None:
            return ()
        return word_diff(said_in(self.original), said_in(self.answer))

    @property
    def removed(self) -> tuple[Stretch, ...]:
        """The original's answer, what this one has not marked."""
        return only(self.stretches, "removed")

    @property
    def added(self) -> tuple[Stretch, ...]:
        """This answer, what the original has not marked."""
        return only(self.stretches, "added")

    @property
    def before(self) -> str:
        """The original's answer."""
        return "" if self.original is None else said_in(self.original)

    @property
    def text(self) -> str:
        """This answer."""
        return "" if self.answer is None else said_in(self.answer)

    @property
    def is_equal(self) -> bool:
        """Whether it says the same as the original."""
        return self.item.likeness == 1

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of it is to be seen yet."""
        return not self.item.is_done and self.live is None and self.item.problem is None

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The numbers of the answer, beside those of the original."""
        return () if self.item.answer is None else figures_of(self.item.original, self.item.answer)

    @property
    def original_figures(self) -> tuple[Figure, ...]:
        """The numbers of the original alone."""
        return () if self.item.original is None else figures_of(None, self.item.original)

    @property
    def settings(self) -> tuple[tuple[str, str, str], ...]:
        """The parameters that are different: name, before, now."""
        if self.original is None or self.answer is None:
            return ()
        before, now = _settings(self.original), _settings(self.answer)
        names = sorted({*before, *now}, key=lambda name: (name not in _FIRST, name))
        return tuple(
            (name, _shown(before, name), _shown(now, name)) for name in names if before.get(name) != now.get(name)
        )


@attrs.frozen(kw_only=True)
class ResultContext:
    """A replay and its calls: all of a small one as they were put in, a page of a large one, the worst first."""

    project: Project
    replay: Replay
    pairs: tuple[Pair, ...]
    offset: int

    @property
    def original(self) -> Record | None:
        """The call that was asked again, where it was one."""
        return None if self.replay.is_bulk else next((pair.original for pair in self.pairs if pair.original), None)

    @property
    def compared(self) -> tuple[str, ...]:
        """The ids of the original and its answers, to be compared: as many as are."""
        answers = [pair.item.record_id for pair in self.pairs if pair.item.is_done and pair.item.record_id]
        original = [] if self.original is None else [self.original.record_id]
        return tuple([*original, *answers][:COMPARED_LIMIT])

    @property
    def is_waiting(self) -> bool:
        """Whether the page has to look again by itself."""
        return has_to_look(self.replay, self.pairs)

    @property
    def previous_address(self) -> str | None:
        """The page before, None on the first."""
        if not self.offset:
            return None
        return replay_result_address(self.project.id, self.replay.id, offset=max(0, self.offset - ITEMS_A_PAGE))

    @property
    def next_address(self) -> str | None:
        """The page behind, None on the last."""
        if self.offset + len(self.pairs) >= self.replay.totals.items:
            return None
        return replay_result_address(self.project.id, self.replay.id, offset=self.offset + len(self.pairs))


def build_result(state: State, request: Request) -> ResultContext:
    """A replay.

    Raises:
        PageProblem: no such project.
        ReplayNotFound: no such replay in it.
    """
    project = project_of(state, request)
    offset = offset_of(request)
    replay = state.store.replays.get(project, request.path_params["replay_id"])
    return ResultContext(project=project, replay=replay, pairs=pairs_of(state, project, replay, offset), offset=offset)


def pairs_of(state: State, project: Project, replay: Replay, offset: int = 0) -> tuple[Pair, ...]:
    """The calls of a replay, or a page of them, with what came of each."""
    store = state.store
    items = store.replays.items(project, replay.id, offset, ITEMS_A_PAGE, is_worst_first=replay.is_bulk)
    originals: dict[str, Record | None] = {}
    pairs = []
    for item in items:
        # the running call before the record: one that ends in between is then seen in either
        live = None if item.record_id is None or item.is_done else state.live.get((project.key, item.record_id))
        if item.source_id is not None and item.source_id not in originals:
            originals[item.source_id] = store.completions.get(project.id, item.source_id)
        pairs.append(
            Pair(
                item=item,
                original=None if item.source_id is None else originals[item.source_id],
                answer=store.completions.get(project.id, item.answer.record_id) if item.answer and not live else None,
                live=live,
            )
        )
    return tuple(pairs)


def has_to_look(replay: Replay, pairs: tuple[Pair, ...]) -> bool:
    """Whether a page that shows these has to look again by itself: an answer that grows tells its own end."""
    is_growing = any(pair.live for pair in pairs) and not any(pair.is_waiting for pair in pairs)
    return replay.is_running and (replay.is_bulk or not is_growing)


def cancel_replay(sent: Sent) -> Response:
    """Ask no more of a replay.

    Raises:
        PageProblem, ReplayNotFound, ReplayEnded, StoreUnavailable: it was not done.
    """
    project = project_of(sent.state, sent.request)
    replay_id = sent.request.path_params["replay_id"]
    sent.state.store.replays.cancel(project, replay_id)
    sent.state.work.set()
    return then(replay_result_address(project.id, replay_id))


def figures_of(original: CallRow | None, answer: CallRow) -> tuple[Figure, ...]:
    """The numbers of an answer beside those of the original, where there is one."""
    rows = (
        ("Latency", "latency_ms", formats.duration, True),
        ("First chunk", "time_to_first_chunk_ms", formats.duration, True),
        ("Tokens in", "input_tokens", formats.count, False),
        ("Tokens out", "output_tokens", formats.count, False),
        ("Cost", "cost_nano_usd", formats.dollars, True),
    )
    figures = []
    for name, field, write, is_judged in rows:
        now = getattr(answer, field)
        before = None if original is None else getattr(original, field)
        difference = ""
        verdict: Verdict = ""
        if now is not None and before is not None:
            sign = "+" if now > before else "\N{MINUS SIGN}"
            difference = "same" if now == before else sign + write(abs(now - before))
            if is_judged and now != before:
                verdict = "worse" if now > before else "better"
        figures.append(Figure(name, write(now), write(before), difference, verdict))
    return tuple(figures)


_FIRST: Final = ("model", "flavor", "template")


def _settings(record: Record) -> JsonObject:
    template = record.template
    version = None if template is None else "@".join(part for part in (template.name, template.version) if part)
    own = {"model": record.requested_model, "flavor": record.flavor, "template": version}
    return {**{name: value for name, value in own.items() if value}, **planning.parameters_of(record)}


def _shown(settings: JsonObject, name: str) -> str:
    return formats.inline(settings[name]) if name in settings else "not set"
