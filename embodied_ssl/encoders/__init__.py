"""From windows of raw sensor rows to embeddings."""
