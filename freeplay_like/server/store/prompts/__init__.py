"""Prompt templates, their versions, and the environments that point at them."""
