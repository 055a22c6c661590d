"""The databases that the store can lie in, and what only one of them knows."""
