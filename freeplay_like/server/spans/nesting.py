"""Which of several spans that saw the same call makes its record. Pure.

Programs are instrumented more than once: a framework, a provider's client and an observability package each make a span
of one call. Four rules, in this order, find the one that counts; whatever comes in which order, they end the same:

1. A span that our SDK made, or that lies inside of one that our SDK recorded, belongs to that record.
2. A call inside another call, begun while that one ran, is the same call: the outermost one that names a model
   counts. Plain spans between them (HTTP, functions) do not matter; a step (an agent, a tool) does, for what a tool
   asks a model is another call. (Some instrumentations of streams leave their span current after its end, and what
   comes next becomes its child.)
3. Two calls side by side under one parent are the same call if two libraries (scopes) saw them, one began while the
   other ran, and they have the same response id; or one has none, and the same model was asked for. The one that our
   SDK recorded counts, else the first to begin.
4. So are two calls of one response id that lie apart, if two libraries saw them and they overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.server.spans.calls import Role

_DEPTH_LIMIT: Final = 64
"""How far up a span looks for what it lies in."""


@attrs.frozen(kw_only=True)
class Node:
    """What must be known of a span to tell what it belongs to.

    `record_id` is that of the record which a call makes, or which our SDK's span names. Times are of one clock.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    role: Role
    scope: str
    model: str | None
    response_id: str | None
    started_at: int
    ended_at: int
    record_id: str | None

    @property
    def place(self) -> tuple[str, str]:
        """Its ids."""
        return self.trace_id, self.span_id

    @property
    def age(self) -> tuple[int, int, str, str]:
        """What orders spans: the earlier, and of two the longer, first."""
        return self.started_at, -self.ended_at, self.trace_id, self.span_id


def owners(nodes: Iterable[Node], recorded: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """The record that each call belongs to, by its ids: its own where it is the one that counts.

    `recorded` are the ids of spans that our SDK recorded, and the records of them.
    """
    by_place = {node.place: node for node in nodes}
    found: dict[tuple[str, str], str] = {}
    outermost: list[Node] = []
    inside: dict[tuple[str, str], Node] = {}
    for node in by_place.values():
        if node.role != "call":
            continue
        record_id, top = _lies_in(node, by_place, recorded)
        if record_id is not None:
            found[node.place] = record_id
            outermost.append(node)
        elif top is node:
            outermost.append(node)
        else:
            inside[node.place] = top
    found |= _twins(outermost, found)
    for place, top in inside.items():  # belongs to the record of the call around it, be it that one's own or its twin's
        while top.place in inside:
            top = inside[top.place]
        found[place] = found[top.place]
    return found


def _lies_in(
    node: Node, by_place: Mapping[tuple[str, str], Node], recorded: Mapping[tuple[str, str], str]
) -> tuple[str | None, Node]:
    """The record of our SDK's that a call lies in, else the outermost call that it lies in, itself where in none."""
    top, at = node, node
    tops = {node.place: node}
    if node.place in recorded:
        return recorded[node.place], top
    for _ in range(_DEPTH_LIMIT):
        if at.parent_id is None:
            break
        place = at.trace_id, at.parent_id
        if place in recorded:
            return recorded[place], top
        parent = by_place.get(place)
        if place in tops:  # a circle, which no tracer makes: what is in it counts for itself
            return None, tops[place]
        if parent is None or parent.role == "step":
            break
        is_around = node.started_at <= parent.ended_at
        if parent.role == "own" and parent.record_id is not None and is_around:
            return parent.record_id, top
        if parent.role == "call" and is_around:
            top = parent
        tops[place] = top
        at = parent
    return None, top


def _twins(calls: Sequence[Node], recorded: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """The record of each call that lies in no other; `recorded` has those of calls that are our SDK's."""
    found: dict[tuple[str, str], str] = {}
    siblings: dict[tuple[str, str], list[Node]] = defaultdict(list)
    namesakes: dict[str, list[Node]] = defaultdict(list)
    paired: set[tuple[tuple[str, str], str]] = set()
    for node in sorted(calls, key=lambda node: (node.place not in recorded, node.age)):
        near = siblings[node.trace_id, node.parent_id] if node.parent_id is not None else []
        alike = namesakes[node.response_id] if node.response_id is not None else []
        twin = next((first for first in alike if _is_same_call(first, node)), None)
        if twin is None:  # without ids to compare, a call of one library has one twin in another
            free = (first for first in near if (first.place, node.scope) not in paired)
            twin = next((first for first in free if _is_same_call(first, node)), None)
        if twin is not None and node.place not in recorded:
            paired.add((twin.place, node.scope))
            found[node.place] = found[twin.place]
            continue
        found[node.place] = recorded.get(node.place) or node.record_id or ""
        near.append(node)
        alike.append(node)
    return found


def _is_same_call(first: Node, second: Node) -> bool:
    """Whether two calls are one that two libraries saw."""
    overlap = first.started_at <= second.ended_at and second.started_at <= first.ended_at
    if first.scope == second.scope or not overlap:
        return False
    ids = first.response_id, second.response_id
    return first.model == second.model if None in ids else first.response_id == second.response_id
