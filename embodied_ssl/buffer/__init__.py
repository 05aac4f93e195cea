"""The one home of every frame: rings, the legal-window index, and gathered windows."""
