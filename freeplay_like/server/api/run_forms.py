"""What the addresses of test runs and test suites answer, in Freeplay's words with ours beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import attrs

from freeplay_like.core.run_results import CaseChange, Comparison, Result, RunSummary, ScoreChange, Spread
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import agent_input, agent_output, as_text
from freeplay_like.server.store.trials.run_results import RunCall
from freeplay_like.server.store.trials.test_runs import RunInfo, RunState, TriedCase
from freeplay_like.server.store.views import DatasetCase, DatasetKind

_NANO: Final = 1e9

RunStatus = Literal["complete", "in-progress", "failed"]


@attrs.frozen(kw_only=True)
class Statistics:
    """What was said of a run's answers: by evaluations of the server's (there are none), by people, by clients.

    Each is by name and then by value: how many answers have it.
    """

    auto_evaluation: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    human_evaluation: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    client_evaluation: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)


def statistics_of(summary: RunSummary) -> Statistics:
    """What was said of a run's answers; thumbs are what people say."""
    return Statistics(
        human_evaluation={"freeplay_feedback": summary.feedback} if summary.feedback else {},
        client_evaluation={name: score.values for name, score in summary.scores.items()},
    )


def status_of(run: RunInfo) -> RunStatus:
    """Freeplay's word for where a run stands."""
    if run.execution in ("failed", "cancelled"):
        return "failed"
    return "complete" if run.is_complete else "in-progress"


def run_to_wire(run: RunInfo) -> JsonObject:
    """A run without its results."""
    return {
        "id": run.id,
        "name": run.name,
        "description": run.description,
        "status": status_of(run),
        "dataset_id": run.dataset_id,
        "dataset_name": run.dataset_name,
        "target_type": run.kind,
        "test_suite_id": run.suite_id,
        "flavor_name": run.flavor,
        "prompt_template_id": run.template_id,
        "prompt_template_version_id": run.template_version_id,
        "environment": run.environment,
        "parameters": run.parameters,
        "created_at": run.created_at,
        "test_cases": run.cases,
        "finished_test_cases": run.finished,
    }


def state_to_wire(state: RunState) -> JsonObject:
    """A run with its results summed up."""
    return {
        **run_to_wire(state.info),
        "records": state.records,
        "summary_statistics": statistics_of(state.summary),
        "results": summary_to_wire(state.summary),
    }


def summary_to_wire(summary: RunSummary) -> JsonObject:
    """The sums over a run; cost in dollars."""
    wire: JsonObject = attrs.asdict(summary, recurse=False)
    del wire["cost_nano_usd"]
    return {**wire, "cost_usd": _in_usd(summary.cost_nano_usd)}


def case_to_wire(case: DatasetCase, kind: DatasetKind, *, has_output: bool) -> JsonObject:
    """A case of a run, for whoever is to try it."""
    content = case.content
    if kind == "agent":
        expected = agent_output(content) if has_output else None
        return {
            "test_case_id": case.id,
            "test_case_type": "trace",
            "input": as_text(agent_input(content)),
            "output": None if expected is None else as_text(expected),
            "custom_metadata": content.metadata,
        }
    wire: JsonObject = {
        "test_case_id": case.id,
        "test_case_type": "completion",
        "variables": content.inputs,
        "output": content.output if has_output else None,
        "history": content.history,
        "custom_metadata": content.metadata,
        "media_variables": content.media_inputs,
    }
    if has_output and content.output_message is not None:
        wire["output_message"] = content.output_message
    return wire


def tried_to_wire(tried: TriedCase, kind: DatasetKind) -> JsonObject:
    """A case of a run and its calls."""
    return {
        **case_to_wire(tried.case, kind, has_output=True),
        "records": [{**_call_to_wire(call), "started_at": call.started_at} for call in tried.calls],
    }


def comparison_to_wire(runs: Sequence[RunInfo], found: Comparison, cases: Sequence[CaseChange]) -> JsonObject:
    """Two runs side by side, with some of their cases."""
    sides = zip(runs, (found.before, found.after), strict=True)
    return {
        "runs": [{**run_to_wire(run), "results": summary_to_wire(summary)} for run, summary in sides],
        "scores": {name: _change_to_wire(change) for name, change in found.scores.items()},
        "differences": {
            "latency_ms": _difference(found.before.latency_ms, found.after.latency_ms),
            "input_tokens": _difference(found.before.input_tokens, found.after.input_tokens),
            "output_tokens": _difference(found.before.output_tokens, found.after.output_tokens),
            "cost_usd": _difference(_in_usd(found.before.cost_nano_usd), _in_usd(found.after.cost_nano_usd)),
        },
        "regressions": found.regressions,
        "cases": [_case_change_to_wire(case) for case in cases],
    }


def _change_to_wire(change: ScoreChange) -> JsonObject:
    return attrs.asdict(change, recurse=False)


def _case_change_to_wire(change: CaseChange) -> JsonObject:
    sides = {"before": change.before, "after": change.after}
    return {
        "test_case_id": change.test_case_id,
        "is_regression": change.worst > 0,
        "differences": change.differences,
        **{name: None if result is None else result_to_wire(result) for name, result in sides.items()},
    }


def result_to_wire(result: Result) -> JsonObject:
    """What a case came to; cost in dollars."""
    wire: JsonObject = attrs.asdict(result, recurse=False)
    cost = wire.pop("cost_nano_usd")
    del wire["test_case_id"]
    return {**wire, "cost_usd": cost / _NANO if isinstance(cost, int) else None}


def _call_to_wire(call: RunCall) -> JsonObject:
    return {**result_to_wire(call.result), "model": call.model, "answer": call.answer, "has_ended": call.has_ended}


def _in_usd(nano: Spread) -> Spread:
    numbers = attrs.asdict(nano, filter=lambda field, _: field.name != "count")
    return Spread(count=nano.count, **{name: None if it is None else it / _NANO for name, it in numbers.items()})


def _difference(before: Spread, after: Spread) -> JsonObject:
    """By how much the means, the percentiles and the sums differ, after less before."""
    numbers = attrs.asdict(before, filter=lambda field, _: field.name != "count")
    other = attrs.asdict(after)
    return {
        name: None if value is None or other[name] is None else other[name] - value for name, value in numbers.items()
    }
