"""Fixtures live in `support/`, one file for each real thing that tests talk to."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "support.simulator",
    "support.postgres_fixtures",
    "support.databases",
    "support.backend",
    "support.servers",
    "support.later_release",
    "support.browser",
    "support.model",
    "support.twins",
    "support.environments",
    "support.big_store",
    "support.whole_shop",
]

# No deadlines: a busy machine is not a failed test.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
settings.load_profile("here")

MAY_SKIP = (
    "root reads everything",
    "a small disk needs the right to mount a tmpfs",
    "another user may not run this Python",
    "needs nginx",
    "needs caddy",
)
"""Why a test may be skipped in CI all the same: nothing can be installed against it, or what is missing would only read
an example."""


def pytest_configure() -> None:
    """Hear Ctrl-C: a job that a shell started in the background is deaf to it, and so is every process it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that could not run is a failed test."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo else ""
        if reason not in MAY_SKIP:
            report.outcome = "failed"
            report.longrepr = f"skipped under CI=true: {reason}"
    return report
