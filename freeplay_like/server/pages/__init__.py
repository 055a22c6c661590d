"""The review pages, a file a page."""
