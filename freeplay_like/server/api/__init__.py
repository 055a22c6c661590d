"""The HTTP contract, a file a resource."""
