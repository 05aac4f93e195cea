"""One writer and one reader on a small ring: what is read is whole, as the guard promises."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import torch

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

NUM_LANES, CAPACITY, GUARD, SECONDS = 4, 96, 32, 2.0
SHAPE = WindowShape(6, 4)
SPEC = StreamSpec(
    (
        SensorSpec("plain", "joint", (2,), rate_hz=20.0),
        SensorSpec("fast", "imu", (2,), rate_hz=60.0),
        SensorSpec("camera", "camera", (4, 4, 3), dtype="uint8", rate_hz=20.0),
    ),
    action_size=2,
    control_hz=20.0,
)
LANES = np.arange(NUM_LANES)


def tick_of(number):
    """A tick whose every value says lane and tick (rows of the fast sensor: and which of its three they are)."""
    plain = np.stack([LANES, np.full(NUM_LANES, number)], 1).astype(np.float32)
    fast = np.stack([np.repeat(LANES[:, None], 3, 1), np.repeat(3 * number + np.arange(3)[None], NUM_LANES, 0)], 2)
    colour = (7 * number + 31 * LANES) % 256
    camera = np.broadcast_to(colour[:, None, None, None, None], (NUM_LANES, 1, 4, 4, 3)).astype(np.uint8)
    rows = {"plain": plain[:, None], "fast": fast.astype(np.float32), "camera": camera}
    return Tick(
        lanes=LANES,
        rows=rows,
        fresh={k: np.ones(v.shape[:2], bool) for k, v in rows.items()},
        age_s={k: np.zeros(v.shape[:2], np.float32) for k, v in rows.items()},
        action=plain,
        reward=np.full(NUM_LANES, number, np.float32),
        is_first=np.full(NUM_LANES, number % 40 == 0),
        terminated=np.zeros(NUM_LANES, bool),
        truncated=np.zeros(NUM_LANES, bool),
    )


def assert_whole(windows):
    tick, lane = windows.tick, windows.lane[:, None].expand_as(windows.tick)
    valid = windows.valid
    assert torch.equal(windows.start, tick[:, -1] // 40 * 40)
    assert torch.equal(valid, tick >= windows.start[:, None])
    plain, fast, camera = windows.rows["plain"], windows.rows["fast"], windows.frames["camera"]
    assert torch.equal(plain.mask[..., 0], valid)
    assert torch.equal(plain.values[valid][:, 0], torch.stack([lane, tick], -1)[valid].float())
    assert torch.equal(fast.mask, valid[..., None].expand_as(fast.mask))
    rows = 3 * tick[..., None] + torch.arange(3)
    expected = torch.stack([lane[..., None].expand_as(rows), rows], -1)
    assert torch.equal(fast.values[valid], expected[valid].float())
    moved = valid & (tick != windows.start[:, None])
    assert torch.equal(windows.reward, tick * moved.float())
    assert torch.equal(windows.action, torch.stack([lane, tick], -1) * moved[..., None].float())
    assert torch.equal(camera.mask, valid)
    colour = camera.values[torch.arange(len(tick))[:, None], camera.slot][..., 0, 0, 0].long()
    assert torch.equal(colour[valid], ((7 * tick + 31 * lane) % 256)[valid])


def test_no_window_is_torn_while_the_writer_goes_on():
    buffer, stop, rng = StreamBuffer(SPEC, NUM_LANES, CAPACITY, (SHAPE,), guard_ticks=GUARD), threading.Event(), 0
    errors: list[BaseException] = []

    def write():
        number = 0
        try:
            while not stop.is_set():
                buffer.append(tick_of(number))
                number += 1
                # A reader may lag by the guard; a control loop with a period leaves it far more time than this.
                time.sleep(0.0005)
        except BaseException as error:
            errors.append(error)

    rng, num_reads, laps = np.random.default_rng(0), 0, 0
    writer = threading.Thread(target=write)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        writer.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                lanes, ends = buffer.draw(SHAPE, 16, rng, windows_per_episode=2)
            except BufferFullError:
                continue
            before = int(buffer.newest(LANES).min())
            windows = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)
            if int(buffer.newest(LANES).max()) - before >= GUARD - 1:  # this machine stalled longer than promised
                continue
            assert_whole(windows)
            num_reads += 1
        laps = int(buffer.newest(LANES).min()) / CAPACITY
    finally:
        stop.set()
        writer.join()
        sys.setswitchinterval(interval)
    assert not errors
    assert num_reads > 50
    assert laps > 3
