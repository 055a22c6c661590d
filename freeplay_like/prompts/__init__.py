"""Prompts: where templates come from."""
