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
