"""The command line: `freeplay-like`."""
