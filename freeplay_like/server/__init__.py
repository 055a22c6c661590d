"""The logging backend: receives records, keeps them, and shows them."""
