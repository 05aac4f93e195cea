"""A writer that overtakes a reader: what is read is whole, or masked; and without the check it would not be."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
import torch
from torn_ticks import CAPACITY, LANES, NUM_LANES, SHAPE, SPEC, num_torn, tick_of

from embodied_ssl.buffer.lane_counter import LaneCounter
from embodied_ssl.buffer.slot_ring import SlotRing
from embodied_ssl.buffer.stream_buffer import StreamBuffer


def frozen(buffer):
    """Take the check away: readers are told what was begun when the buffer was filled, whatever is begun since."""
    for ring in (buffer.ticks, *buffer.rows.values()):
        ring.begun.of = LaneCounter(NUM_LANES, torch.device("cpu"), host=ring.begun.host.copy()).of


def filled():
    buffer = StreamBuffer(SPEC, NUM_LANES, CAPACITY, (SHAPE,))
    for number in range(3 * CAPACITY):
        buffer.append(tick_of(number))
    return buffer


@pytest.mark.parametrize("which", range(7))  # the tables that a gather reads, in turn
@pytest.mark.parametrize("checked", [True, False])
def test_a_writer_between_two_reads_of_a_gather_is_noticed(monkeypatch, which, checked):
    buffer = filled()
    if not checked:
        frozen(buffer)
    reads, written = [], []
    take = SlotRing.take

    def interrupted(self, *arguments, **options):
        if len(reads) == which and not written:
            for number in range(3 * CAPACITY, 3 * CAPACITY + 9):
                written.append(number)
                buffer.append(tick_of(number))
        reads.append(self)
        return take(self, *arguments, **options)

    lanes, ends = buffer.indices[SHAPE].all_legal()
    monkeypatch.setattr(SlotRing, "take", interrupted)
    windows = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)
    assert len(written) == 9
    torn = num_torn(windows)
    assert torn == 0 if checked else torn > 0
    assert windows.valid.sum() > windows.valid.numel() // 2


def race(buffer, seconds):
    """Read the oldest windows as fast as possible while a thread appends as fast as possible."""
    stop, torn, masked = threading.Event(), 0, 0

    def write():
        number = 3 * CAPACITY
        while not stop.is_set():
            buffer.append(tick_of(number))
            number += 1

    writer = threading.Thread(target=write)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    writer.start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ends = np.repeat(buffer.newest(LANES) - CAPACITY + SHAPE.length, 8)
            windows = buffer.gather(torch.from_numpy(np.repeat(LANES, 8)), torch.from_numpy(ends), SHAPE.length)
            torn += num_torn(windows)
            masked += int((~windows.valid).sum())
    finally:
        stop.set()
        writer.join()
        sys.setswitchinterval(interval)
    return torn, masked


def test_no_window_is_torn_in_a_race():
    torn, masked = race(filled(), 1.5)
    assert torn == 0
    assert masked > 0  # the writer did overtake


def test_without_the_check_the_race_is_lost():
    buffer = filled()
    for ring in (buffer.ticks, *buffer.rows.values()):
        counter = ring.begun
        ring.begun.of = lambda lanes, counter=counter: counter.there.index_select(0, lanes) - 2 * CAPACITY
    torn, _ = race(buffer, 1.5)
    assert torn > 0
