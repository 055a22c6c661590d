"""The session layer: what a user holds. Merges parameters, opens calls, tees their streams, keeps conversations."""
