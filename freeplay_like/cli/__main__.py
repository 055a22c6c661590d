"""`python -m freeplay_like.cli` is `freeplay-like`."""

from freeplay_like.cli.main import main

main()
