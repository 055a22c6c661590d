"""Secrets that are given out once: random and long, so a plain SHA-256 of them is all that is kept."""

from __future__ import annotations

import hashlib


def sha256(text: str) -> bytes:
    """What is kept of a secret: there is nothing to guess."""
    return hashlib.sha256(text.encode()).digest()
