"""Records, what is said of them, traces and spans: what came in, as it came."""
