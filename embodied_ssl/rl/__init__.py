"""The built-in agent that acts on the embedding, and its exploration noise."""
