"""Gauges of the representation that need no labels, and the verdict they lead to."""
