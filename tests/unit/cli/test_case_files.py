from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.cli.case_files import parts
from freeplay_like.core.case_files import FileCase, with_ids


def test_a_case_keeps_its_id_and_a_second_one_like_it_has_its_own() -> None:
    dataset = str(uuid.uuid4())
    cases = [FileCase(line=line, fields={"inputs": {"q": text}}) for line, text in enumerate("aba", 1)]
    ids = [case["id"] for case in with_ids(cases, dataset)]
    assert len(set(ids)) == 3
    assert [case["id"] for case in with_ids(cases[:2], dataset)] == ids[:2]
    assert [case["id"] for case in with_ids([cases[2]], dataset)] == ids[:1]
    assert with_ids(cases[:1], str(uuid.uuid4()))[0]["id"] != ids[0]
    given_id = str(uuid.uuid4())
    assert with_ids([FileCase(line=1, fields={"id": given_id, "inputs": {}})], dataset)[0]["id"] == given_id


@given(st.lists(st.text(max_size=30), max_size=20), st.integers(1, 5), st.integers(1, 100))
def test_parts_hold_every_case_in_order_and_no_more_than_fits(texts: list[str], count: int, limit: int) -> None:
    cases = [{"inputs": {"q": text}} for text in texts]
    found = list(parts(cases, count, limit))
    assert [case for part in found for case in part] == cases
    assert all(0 < len(part) <= count for part in found)
    assert all(len(part) == 1 or sum(len(str(case["inputs"]["q"])) for case in part) <= limit for part in found)
