"""A model, or something that stands in for one, on this machine."""
