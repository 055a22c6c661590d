from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.prompts.sync import Common, Status, compare_all


def template(text: str | None) -> PromptTemplate | None:
    if text is None:
        return None
    return PromptTemplate(name="trip", version_id=f"v-{text}", messages=(TemplateMessage(role="user", content=text),))


@pytest.mark.parametrize(
    ("here", "there", "common", "status"),
    [
        ("a", "a", "a", "same"),
        ("b", "b", "a", "same"),
        ("a", "a", None, "same"),
        (None, None, "a", "same"),
        ("b", "a", "a", "changed_here"),
        ("a", "b", "a", "changed_there"),
        ("a", None, None, "new_here"),
        (None, "a", None, "new_there"),
        (None, "a", "a", "deleted_here"),
        ("a", None, "a", "deleted_there"),
        ("b", "c", "a", "conflict"),
        ("b", "c", None, "conflict"),
        (None, "b", "a", "conflict"),
        ("b", None, "a", "conflict"),
    ],
)
def test_the_last_common_state_tells_who_changed_a_template(
    here: str | None, there: str | None, common: str | None, status: Status
) -> None:
    sides = ({"trip": each} if (each := template(text)) else {} for text in (here, there))
    known = template(common)
    (found,) = compare_all(*sides, {} if known is None else {"trip": Common.of(known)})
    assert found.status == status
    assert (found.here, found.there) == (template(here), template(there))


def test_a_description_makes_no_difference() -> None:
    here = template("a")
    assert here is not None
    described = attrs.evolve(here, description="new words")
    (found,) = compare_all({"trip": described}, {"trip": here}, {})
    assert found.status == "same"


def test_templates_of_either_side_come_by_name() -> None:
    one = template("a")
    assert one is not None
    found = compare_all({"b": one}, {"c": one}, {"a": Common.of(one)})
    assert [(each.name, each.status) for each in found] == [("a", "same"), ("b", "new_here"), ("c", "new_there")]
