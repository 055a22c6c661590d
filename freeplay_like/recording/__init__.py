"""Recording: what keeps a record, and how it comes to the backend. Nothing here raises into, or waits on, a call."""
