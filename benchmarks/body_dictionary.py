"""How small do stored records become, with the dictionary that the package ships and without, and how fast?

`--write FILE` makes a dictionary anew. What is stored refers to a dictionary by its number, so a released one must
stay as it is for ever: a better one goes beside it. It is made from generated records, never from anybody's.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.bodies import LEVEL, Packer, zstd
from support.records import RecordMaker
from support.varied import VariedRecords

SIZE_BYTES: Final = 4_096
"""Larger ones gain a few bytes in a hundred."""


def make() -> bytes:
    """A dictionary, from records of many projects: what they share is how a record is written, not what it says."""
    samples = [
        to_wire(record)
        for seed in range(100, 140)
        for record in VariedRecords(f"{seed:036x}", seed=seed, words=10).make(40)
    ]
    return zstd.train_dict(samples, SIZE_BYTES).dict_content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    if asked.write:
        asked.write.write_bytes(make())
        return
    plain = zstd.ZstdCompressor(level=LEVEL)
    kinds = {
        "varied": [to_wire(record) for record in VariedRecords("0" * 36).make(2_000)],
        "bakery": [to_wire(record) for record in RecordMaker("0" * 36).make(1_000)],
    }
    for kind, bodies in kinds.items():
        for how, pack in (("plain", lambda b: plain.compress(b, plain.FLUSH_FRAME)), ("shipped", Packer().pack)):
            began = time.process_time()
            packed = sum(len(pack(body)) for body in bodies)
            us = (time.process_time() - began) / len(bodies) * 1e6
            size = sum(map(len, bodies))
            print(f"{kind} {how:8} {size / len(bodies):6.0f} -> {packed / len(bodies):6.0f} bytes, {us:5.1f} us each")


if __name__ == "__main__":
    main()
