"""Training runs: the loop, and what it is built from."""

from embodied_ssl.train.loop import train

__all__ = ["train"]
