from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.parameters import UNSET, Layer, merge
from freeplay_like.errors import ConfigurationError, ParameterError

LAYERS: tuple[Layer, ...] = ("flavor", "template", "client", "session", "call")


def test_later_layers_win_and_the_earlier_values_are_kept() -> None:
    merged = merge([("flavor", {"model": "a"}), ("template", {"model": "b"}), ("call", {"model": "c"})])
    assert merged.values == {"model": "c"}
    assert merged.layer_of("model") == "call"
    assert [(o.layer, o.value) for o in merged.settings["model"].overrode] == [("flavor", "a"), ("template", "b")]


def test_none_takes_a_lower_value_away_and_stays_visible() -> None:
    merged = merge([("template", {"temperature": 0.2}), ("call", {"temperature": None})])
    assert merged.values == {}
    assert merged.settings["temperature"].is_removed
    assert merged.settings["temperature"].overrode[0].value == 0.2


def test_none_over_nothing_is_nothing() -> None:
    assert merge([("call", {"temperature": None})]).settings == {}


def test_unset_lets_the_lower_layer_speak() -> None:
    merged = merge([("client", {"top_p": 0.5}), ("call", {"top_p": UNSET})])
    assert merged.values == {"top_p": 0.5}
    assert merged.layer_of("top_p") == "client"


def test_nothing_is_sent_that_nobody_set() -> None:
    assert merge([(layer, {}) for layer in LAYERS]).values == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 9),
        ("temperature", math.nan),
        ("temperature", True),
        ("temperature", "0.2"),
        ("top_p", 1.5),
        ("top_p", math.inf),
        ("max_tokens", 0),
        ("max_tokens", True),
        ("max_tokens", 1.5),
        ("max_completion_tokens", -1),
        ("presence_penalty", -3),
        ("model", "  "),
        ("stop", ""),
        ("stop", []),
        ("stop", ["a", 1]),
        ("n", 0),
    ],
)
def test_a_value_that_no_provider_takes_is_named_with_its_layer(name: str, value: object) -> None:
    with pytest.raises(ParameterError) as caught:
        merge([("template", {"model": "m"}), ("client", {name: value})])
    assert (caught.value.parameter, caught.value.layer) == (name, "client")
    assert repr(name) in str(caught.value)
    assert "the client" in str(caught.value)
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize("name", ["stream", "messages"])
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="set by the call itself"):
        merge([("template", {name: True})])


def test_unknown_names_pass() -> None:
    assert merge([("call", {"guided_json": {"a": 1}})]).values == {"guided_json": {"a": 1}}


names = st.sampled_from(["alpha", "beta", "gamma"])
values = st.one_of(st.none(), st.just(UNSET), st.integers(), st.text())
layered = st.lists(st.dictionaries(names, values), min_size=5, max_size=5)


@given(layered)
def test_the_last_layer_that_spoke_decides(dicts: list[dict[str, object]]) -> None:
    merged = merge(list(zip(LAYERS, dicts, strict=True)))
    for name in ("alpha", "beta", "gamma"):
        spoken = [d[name] for d in dicts if name in d and d[name] is not UNSET]
        if spoken and spoken[-1] is not None:
            assert merged.values[name] == spoken[-1]
        else:
            assert name not in merged.values
        if name in merged.settings and not merged.settings[name].is_removed:
            assert dicts[LAYERS.index(merged.settings[name].layer)][name] == merged.values[name]


# --- unified names ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", {"name": "f"}),
        ("tools", ["f"]),
        ("tools", [{"description": "nameless"}]),
        ("tools", [{"type": "function", "function": {"name": " "}}]),
        ("tools", [{"name": "f"}, {"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", ""),
        ("tool_choice", {}),
        ("tool_choice", True),
        ("output_schema", {}),
        ("output_schema", "object"),
        ("reasoning", "high"),
        ("reasoning", {}),
        ("reasoning", {"effort": ""}),
        ("reasoning", {"effort": 3}),
        ("reasoning", {"max_tokens": True}),
        ("reasoning", {"max_tokens": 0}),
        ("extra_body", [1]),
        ("extra_body", {"stream": True}),
        ("extra_body", {"messages": []}),
        ("seed", math.inf),
        ("logit_bias", {"1": math.nan}),
        ("tools", [{"name": "f", "parameters": {"maximum": math.inf}}]),
        ("extra_body", {"deep": [{"er": -math.inf}]}),
    ],
)
def test_a_unified_parameter_of_another_shape_is_named_with_its_layer(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=f"parameter '{name}' must be .*; the template set it to ") as caught:
        merge([("template", {name: value}), ("call", {"model": "m"})])
    assert (caught.value.parameter, caught.value.layer) == (name, "template")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", []),
        ("tools", ({"name": "f"}, {"type": "function", "function": {"name": "g"}}, {"type": "web_search"})),
        ("tool_choice", "required"),
        ("tool_choice", {"name": "f"}),
        ("output_schema", {"type": "object"}),
        ("reasoning", False),
        ("reasoning", {"effort": "max", "max_tokens": 1}),
        ("reasoning", {"summary": "auto"}),
        ("extra_body", {}),
        ("logit_bias", {"1": -100.0}),
    ],
)
def test_a_unified_parameter_of_its_shape_passes(name: str, value: object) -> None:
    assert merge([("call", {name: value})]).values == {name: value}


def test_a_value_that_holds_itself_is_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(ParameterError, match="nested at most 100 deep"):
        merge([("call", {"x": cycle})])


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(ParameterError) as caught:
        merge([("call", {"tools": ["x" * 10_000]})])
    assert len(str(caught.value)) < 400


def test_a_refusal_of_what_nobody_set_names_no_layer() -> None:
    error = merge([]).refusal("reasoning", "is not there")
    assert (str(error), error.layer) == ("parameter 'reasoning' is not there", None)


numbers = st.floats() | st.integers() | st.booleans() | st.none()
deep = st.recursive(numbers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


def is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(is_finite, items))


@given(deep)
def test_nothing_that_json_cannot_say_passes_at_any_depth(value: object) -> None:
    layers: list[tuple[Layer, dict[str, object]]] = [("call", {"x": value})]
    if is_finite(value):
        merge(layers)
    else:
        with pytest.raises(ParameterError, match="free of infinity and NaN"):
            merge(layers)
