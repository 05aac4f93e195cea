"""Batches made ahead are those made in turn; errors arrive, and the thread ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.buffer.prefetch import Prefetch, tensors_of
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape

SHAPE = WindowShape(5, 3)


def standing():
    source, buffer = TickSource(3, 0), StreamBuffer(SPEC, 3, 64, (SHAPE,))
    for _ in range(100):
        buffer.append(source.tick())
    return buffer


def maker(buffer, rng):
    def make():
        lanes, ends = buffer.draw(SHAPE, 8, rng)
        return buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)

    return make


def test_batches_are_those_without_it():
    buffer = standing()
    in_turn = maker(buffer, np.random.default_rng(3))
    with Prefetch(maker(buffer, np.random.default_rng(3))) as ahead:
        for _ in range(20):
            expected, found = list(tensors_of(in_turn())), list(tensors_of(ahead.next()))
            assert len(expected) == len(found) > 20
            assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_it_works_ahead_by_two_and_no_more():
    made, third = [], threading.Event()

    def make():
        made.append(len(made))
        if len(made) == 3:
            third.set()
        return made[-1]

    with Prefetch(make) as ahead:
        assert ahead.next() == 0
        assert third.wait(5)
        assert not threading.Event().wait(0.05)
        assert len(made) == 3
        assert [ahead.next() for _ in range(5)] == [1, 2, 3, 4, 5]


def test_an_error_in_the_thread_reaches_every_caller_after_the_good_batches():
    turns = iter([1, 2])
    with Prefetch(lambda: next(turns)) as ahead:
        assert (ahead.next(), ahead.next()) == (1, 2)
        for _ in range(2):
            with pytest.raises(StopIteration):
                ahead.next()


def test_closing_ends_the_thread_whatever_waits():
    before = threading.active_count()
    ahead = Prefetch(lambda: 0)
    ahead.next()
    ahead.close()
    ahead.close()
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="closed"):
        ahead.next()
