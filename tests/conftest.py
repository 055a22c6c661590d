"""Fixtures live in `support/`, one file for each real thing that tests talk to."""

pytest_plugins = ["support.simulator", "support.backend", "support.browser", "support.model"]
