"""Prompt templates, provider calls, and a record of every call."""

__version__ = "0.1.0"
