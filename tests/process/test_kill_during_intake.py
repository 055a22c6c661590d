"""Every acknowledged record is there after kill -9, once, whenever the kill falls."""

from __future__ import annotations

import pytest

from support.backend import BackendProcess
from support.kills import survive

KILLS = 10


@pytest.mark.timeout(300)
def test_what_was_acknowledged_is_there_once_after_every_kill(own_backend: BackendProcess) -> None:
    survived = survive(own_backend, KILLS)
    assert len(survived.acknowledged) > KILLS
    assert survived.acknowledged - set(survived.stored) == set()
    assert len(survived.stored) == len(set(survived.stored))
    assert survived.integrity == "ok"
