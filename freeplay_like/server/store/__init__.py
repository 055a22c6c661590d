"""The store: tables, and the questions that may be asked of them."""
