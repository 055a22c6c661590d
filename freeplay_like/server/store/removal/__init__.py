"""Taking data away, everywhere."""
