"""How whole values lie in the database."""

from __future__ import annotations

import hashlib
from pathlib import Path

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import bodies
from freeplay_like.server.store.bodies import LEVEL, Packer, raw, unpack, zstd
from support.varied import VariedRecords

DICTIONARY_SHA256 = "c893c5d4e741107412c47b76183765c0d9a4aa7c486c43854358897100d5772a"


def test_what_was_packed_comes_back() -> None:
    packer = Packer()
    for record in VariedRecords("p").make(50):
        assert unpack(packer.pack(to_wire(record)), Record) == record


def test_what_was_packed_without_a_dictionary_can_still_be_read() -> None:
    assert raw(zstd.compress(b'{"a":1}' * 50, LEVEL)) == b'{"a":1}' * 50


def test_the_dictionary_is_the_one_that_stored_bodies_name() -> None:
    content = (Path(bodies.__file__).parent / "bodies_1.zdict").read_bytes()
    assert hashlib.sha256(content).hexdigest() == DICTIONARY_SHA256, (
        "with another dictionary no stored body can be read"
    )


def test_the_dictionary_makes_bodies_smaller() -> None:
    wired = [to_wire(record) for record in VariedRecords("p", seed=5).make(50)]
    packer, plain = Packer(), zstd.ZstdCompressor(level=LEVEL)
    packed = sum(len(packer.pack(body)) for body in wired)
    assert packed < 0.8 * sum(len(plain.compress(body, plain.FLUSH_FRAME)) for body in wired)
