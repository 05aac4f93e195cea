"""Watches which tensors the host reads. On a CPU such a read costs nothing and shows nowhere; on a GPU it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

READS = ("cpu", "numpy", "tolist", "item", "__array__", "__bool__", "__float__", "__int__")


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[torch.dtype, int]]]:
    """Give a list that grows by (type, number of bytes) of every tensor that the host reads."""
    reads: list[tuple[torch.dtype, int]] = []

    def watcher(name):
        original = getattr(torch.Tensor, name)

        def read(self, *arguments, **options):
            reads.append((self.dtype, self.numel() * self.element_size()))
            return original(self, *arguments, **options)

        return read

    with contextlib.ExitStack() as stack:
        for name in READS:
            stack.enter_context(mock.patch.object(torch.Tensor, name, watcher(name)))
        yield reads
