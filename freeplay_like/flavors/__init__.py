"""Flavors: one file for each wire format that a provider speaks. The only rooms that talk to providers."""
