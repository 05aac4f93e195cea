"""Which windows a batch holds: samplers over the legal windows of a ring, and a long-term memory beside it."""
