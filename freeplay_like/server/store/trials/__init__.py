"""Datasets, test runs and test suites."""
