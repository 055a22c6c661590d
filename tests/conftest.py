"""Fixtures live in `support/`, one file for each real thing that tests talk to."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["support.simulator", "support.backend", "support.browser", "support.model"]

# No deadlines: a busy machine is not a failed test.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
settings.load_profile("here")
