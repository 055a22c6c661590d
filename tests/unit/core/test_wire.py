from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.core.records import ErrorInfo, Record, TemplateRef
from freeplay_like.core.wire import WireError, from_wire, to_wire

_numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), _numbers, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
records = st.builds(
    Record,
    record_id=st.text(max_size=40),
    project_id=st.text(max_size=10),
    template=st.none() | st.builds(TemplateRef, name=st.text(), version_id=st.none() | st.text()),
    variables=st.dictionaries(st.text(), json_values, max_size=3),
    messages=st.lists(st.builds(Message, role=st.sampled_from(["user", "system"]), content=st.text()), max_size=3).map(
        tuple
    ),
    parameters=st.dictionaries(st.text(min_size=1).map("x".__add__), json_values, max_size=3).map(
        lambda values: merge([("call", values)]).settings
    ),
    outcome=st.sampled_from(["complete", "error", "interrupted"]),
    choices=st.lists(st.builds(Choice, text=st.text(), refusal=st.text()), max_size=2).map(tuple),
    usage=st.none() | st.builds(Usage, input_tokens=st.none() | st.integers(0, 10**9)),
    error=st.none() | st.builds(ErrorInfo, type=st.text(), message=st.text()),
    started_at=st.datetimes(timezones=st.just(UTC)),
    latency_ms=st.none() | st.floats(0, 1e9),
    timeline=st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**6)), max_size=4).map(tuple),
)


@given(records)
def test_a_record_goes_over_the_wire_and_back(record: Record) -> None:
    assert from_wire(to_wire(record), Record) == record


def test_lone_surrogates_do_not_lose_a_record() -> None:
    record = Record(
        record_id="r",
        project_id="p",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        choices=(Choice(text="half \ud83d, whole \ud83d\ude00"),),
    )
    back = from_wire(to_wire(record), Record)
    assert back.text == "half \ufffd, whole 😀"
    assert back.started_at == record.started_at


def test_what_json_cannot_hold_is_written_as_its_repr() -> None:
    assert json.loads(to_wire({"x": {1}, "y": 2 + 3j})) == {"x": [1], "y": "(2+3j)"}


def test_a_value_that_holds_itself_is_cut_short() -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    assert b"nested deeper than" in to_wire({"metadata": cycle})


def test_an_older_reader_takes_a_newer_record() -> None:
    data = b'{"record_id":"r","project_id":"p","started_at":"2026-01-01T00:00:00Z","from_the_future":[1]}'
    assert from_wire(data, Record).record_id == "r"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"record_id":1}', b'{"record_id":"r","project_id":"p"}'],
    ids=["empty", "cut", "not UTF-8", "too deep", "wrong type", "missing field"],
)
def test_bad_bytes_are_one_error(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        from_wire(data, Record)
    assert str(caught.value)


def test_a_wrong_type_is_named_by_its_path() -> None:
    data = b'{"record_id":"r","project_id":"p","started_at":"2026-01-01T00:00:00Z","usage":{"input_tokens":"3"}}'
    with pytest.raises(WireError, match=r"\$\.usage\.input_tokens"):
        from_wire(data, Record)


RACE = """
import sys, threading
import attrs
from freeplay_like.core.wire import from_wire
sys.setswitchinterval(1e-6)

def race(number):
    inner = attrs.make_class(f"Inner{number}", {f"field{i}": attrs.field(type=int) for i in range(40)}, frozen=True)
    outer = attrs.make_class(f"Outer{number}", {"inner": attrs.field(type=inner)}, frozen=True)
    fields = ",".join(f'"field{i}":{i}' for i in range(40))
    data = ('{"inner":{%s}}' % fields).encode()
    barrier, values = threading.Barrier(4), []
    def read():
        barrier.wait()
        values.append(from_wire(data, outer).inner.field39)
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert values == [39] * 4, values

for number in range(100):
    race(number)
"""


def test_threads_that_first_read_a_class_at_once_all_get_it() -> None:
    """msgspec by itself ends the process then."""
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
