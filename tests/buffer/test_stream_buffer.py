"""The ring against a plain Python model over many random streams."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError
from embodied_ssl.spec import SensorSpec, StreamSpec

SHAPE = WindowShape(context=5, horizon=3)


class PlainModel:
    """Keeps everything in lists; answers what a window must hold."""

    def __init__(self, num_lanes, capacity, guard):
        self.lanes = [[] for _ in range(num_lanes)]  # per tick: (is_first, action, rows of this tick by sensor)
        self.capacity, self.guard = capacity, guard

    def append(self, tick):
        for i, lane in enumerate(tick.lanes):
            rows = {
                name: [(tick.rows[name][i, k], tick.age_s[name][i, k]) for k in np.flatnonzero(fresh[i])]
                for name, fresh in tick.fresh.items()
            }
            first = bool(tick.is_first[i]) or not self.lanes[lane]
            self.lanes[lane].append((first, tick.action[i], tick.reward[i], rows))

    def start(self, lane, tick):
        while not self.lanes[lane][tick][0]:
            tick -= 1
        return tick

    def legal_ends(self, lane, shape=SHAPE):
        history = self.lanes[lane]
        for end in range(len(history)):
            start = self.start(lane, end)
            oldest = max(end - shape.length + 1, start)
            if end - start >= shape.horizon and oldest >= len(history) - self.capacity + self.guard:
                yield end


def filled(seed, num_lanes=3, capacity=24, guard=2, num_appends=90, asynchronous=True):
    source = TickSource(num_lanes, seed)
    buffer = StreamBuffer(SPEC, num_lanes, capacity, (SHAPE,), guard_ticks=guard)
    model = PlainModel(num_lanes, capacity, guard)
    for _ in range(num_appends):
        some = source.rng.permutation(num_lanes)[: source.rng.integers(1, num_lanes + 1)] if asynchronous else None
        tick = source.tick(np.sort(some) if some is not None else None)
        buffer.append(tick)
        model.append(tick)
    return buffer, model


@pytest.mark.parametrize("seed", range(12))
def test_legal_windows_are_those_of_the_model(seed):
    buffer, model = filled(seed, num_appends=20 + 13 * seed)
    lanes, ends = buffer.indices[SHAPE].all_legal()
    expected = [(lane, end) for lane in range(3) for end in model.legal_ends(lane)]
    assert list(zip(lanes.tolist(), ends.tolist(), strict=True)) == expected


@pytest.mark.parametrize("seed", range(8))
def test_gathered_windows_are_those_of_the_model(seed):
    buffer, model = filled(seed)
    lanes, ends = buffer.indices[SHAPE].all_legal()
    windows = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)
    for b, (lane, end) in enumerate(zip(lanes, ends, strict=True)):
        start = model.start(lane, end)
        assert int(windows.start[b]) == start
        for step in range(SHAPE.length):
            now = end - SHAPE.length + 1 + step
            inside = now >= start
            assert bool(windows.valid[b, step]) == inside
            first, action, reward, _ = model.lanes[lane][now] if inside else (True, 0, 0, None)
            assert bool(windows.action_mask[b, step]) == (inside and not first)
            expected = action if inside and not first else np.zeros(2)
            np.testing.assert_array_equal(windows.action[b, step], expected)
            assert float(windows.reward[b, step]) == (float(reward) if inside and not first else 0.0)
            check_rows(windows, model, b, lane, step, now, start, inside)


def check_rows(windows, model, b, lane, step, now, start, inside):
    for sensor in SPEC.sensors:
        arrived = [  # (row, arrival tick, age) of the episode so far, oldest first
            (row, at, age)
            for at in range(start, now + 1 if inside else start)
            for row, age in model.lanes[lane][at][3][sensor.name]
        ]
        if sensor.is_image:
            frames = windows.frames[sensor.name]
            assert bool(frames.mask[b, step]) == bool(arrived)
            if arrived:
                row, at, age = arrived[-1]
                np.testing.assert_array_equal(frames.values[b, frames.slot[b, step]], row)
                assert float(frames.age_s[b, step]) == pytest.approx(age + (now - at) * SPEC.tick_s, abs=1e-5)
            continue
        rows, room = windows.rows[sensor.name], SPEC.rows_per_tick(sensor)
        seen = [a for a in arrived if a[1] == now][-room:] if room > 1 else arrived[-1:]
        assert rows.mask[b, step].sum() == len(seen)
        for k, (row, at, age) in enumerate(reversed(seen)):
            np.testing.assert_array_equal(rows.values[b, step, -1 - k], row)
            assert float(rows.age_s[b, step, -1 - k]) == pytest.approx(age + (now - at) * SPEC.tick_s, abs=1e-5)
            assert bool(rows.fresh[b, step, -1 - k]) == (at == now)
        assert not rows.values[b, step][~rows.mask[b, step]].any()


def test_draws_are_uniform_over_legal_windows():
    buffer, _ = filled(5)
    rng = np.random.default_rng(0)
    lanes, ends = buffer.draw(SHAPE, 40_000, rng)
    legal = list(zip(*(a.tolist() for a in buffer.indices[SHAPE].all_legal()), strict=True))
    drawn = list(zip(lanes.tolist(), ends.tolist(), strict=True))
    counts = np.array([drawn.count(window) for window in legal])
    assert counts.sum() == 40_000
    expected = 40_000 / len(legal)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < len(legal) + 5 * np.sqrt(2 * len(legal))


def test_siblings_share_the_episode_and_are_legal():
    buffer, model = filled(7, num_appends=60)
    legal = set(zip(*(a.tolist() for a in buffer.indices[SHAPE].all_legal()), strict=True))
    lanes, ends = buffer.draw(SHAPE, 400, np.random.default_rng(1), windows_per_episode=4)
    assert set(zip(lanes.tolist(), ends.tolist(), strict=True)) <= legal
    for group in range(100):
        members = {(lane, model.start(lane, end)) for lane, end in zip(lanes[4 * group :][:4], ends[4 * group :][:4])}  # noqa: B905
        assert len(members) == 1


def test_no_window_yet_is_one_clear_line():
    buffer = StreamBuffer(SPEC, 2, 24, (SHAPE,))
    with pytest.raises(BufferFullError, match="no legal window of 8 ticks"):
        buffer.draw(SHAPE, 4, np.random.default_rng(0))


def test_a_capacity_below_a_window_is_refused():
    with pytest.raises(BufferFullError, match="expected at least 10"):
        StreamBuffer(SPEC, 2, 9, (SHAPE,), guard_ticks=2)


def test_too_large_a_buffer_names_its_size():
    with pytest.raises(BufferFullError, match=r"needs .* GB"):
        StreamBuffer(SPEC, 1_000_000, 1_000_000_000, (SHAPE,))


def test_a_burst_drops_the_oldest_rows_and_counts_them():
    source = TickSource(1, 0)
    buffer = StreamBuffer(SPEC, 1, 24, (SHAPE,))
    tick = source.tick()
    burst = np.arange(18, dtype=np.float32).reshape(1, 6, 3)
    tick = dataclasses.replace(
        tick,
        rows={**tick.rows, "imu": burst},
        fresh={**tick.fresh, "imu": np.ones((1, 6), bool)},
        age_s={**tick.age_s, "imu": np.zeros((1, 6), np.float32)},
    )
    buffer.append(tick)
    assert buffer.num_overflow_rows["imu"] == 6 - SPEC.rows_per_tick(SPEC["imu"])
    rows = buffer.gather(torch.tensor([0]), torch.tensor([0]), 1).rows["imu"]
    np.testing.assert_array_equal(rows.values[0, 0], burst[0, -SPEC.rows_per_tick(SPEC["imu"]) :])


@pytest.mark.parametrize("lanes", [[0, 1, 2], [0, 2]])
def test_rows_that_no_tick_reads_are_overflow_wherever_they_stand(lanes):
    source, room = TickSource(3, 0), SPEC.tick_room(SPEC["imu"])
    buffer, model = StreamBuffer(SPEC, 3, 24, (SHAPE,)), PlainModel(3, 24, 0)
    for _ in range(8):
        tick = source.tick(np.array(lanes))
        for name in ("joint", "imu"):
            tick.fresh[name][0] = True
        buffer.append(tick)
        model.append(tick)
    arrived = {name: sum(len(t[3][name]) for lane in model.lanes for t in lane) for name in buffer.row_count}
    lost = {s.name: 0 for s in SPEC.sensors}
    for sensor in SPEC.sensors:
        for lane in model.lanes:
            lost[sensor.name] += sum(max(0, len(t[3][sensor.name]) - SPEC.rows_per_tick(sensor)) for t in lane)
    assert buffer.num_overflow_rows == lost
    assert lost["imu"] >= 8 * (room - SPEC.rows_per_tick(SPEC["imu"]))
    assert {name: int(count.sum()) for name, count in buffer.row_count.items()} == {
        name: count - lost[name] for name, count in arrived.items()
    }
    lists_of(buffer, model, np.array([0, 2]), np.array([7, 7]), 8)


def too_fast(seed, num_ticks, min_rows=None, asynchronous=False):
    """A ring whose sensor ``slow`` (declared at 6 Hz) sends in every tick of 20 Hz."""
    source, rng = TickSource(3, seed, end_chance=0.02), np.random.default_rng(seed)
    buffer, model = StreamBuffer(SPEC, 3, 48, (SHAPE,), min_rows=min_rows), PlainModel(3, 48, 0)
    for _ in range(num_ticks):
        lanes = np.sort(rng.permutation(3)[: rng.integers(1, 4)]) if asynchronous else None
        tick = source.tick(lanes)
        tick.fresh["slow"][:, 0], tick.fresh["slow"][:, 1:] = True, False
        buffer.append(tick)
        model.append(tick)
    return buffer, model


@pytest.mark.parametrize("num_ticks", [20, 40, 200])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_rows_overwritten_while_their_tick_is_stored_are_counted(num_ticks, asynchronous):
    buffer, model = too_fast(1, num_ticks, asynchronous=asynchronous)
    room = buffer.rows["slow"].capacity
    assert room < 48
    # Row number n is that of tick n here, and goes when row n + room comes.
    lost = sum(max(0, len(lane) - room) for lane in model.lanes)
    assert buffer.num_overflow_rows["slow"] == lost
    assert (lost > 0) == (num_ticks > 20)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_rows_known_to_come_find_room(asynchronous):
    buffer, model = too_fast(2, 100, {"slow": 48}, asynchronous)
    assert buffer.num_overflow_rows["slow"] == 0
    lanes, ends = buffer.indices[SHAPE].all_legal()
    assert len(lanes) > 50
    lists_of(buffer, model, lanes, ends, SHAPE.length)


def test_the_slack_is_a_sixteenth():
    """A sensor may send so much more than it declares before any row of a stored tick is lost."""
    spec = StreamSpec((SensorSpec("imu", "imu", (1,), rate_hz=400.0),), 1, 20.0)
    ring = StreamBuffer.ring_shapes(spec, 1, 1000, [SHAPE], {})["sensor0.values"]
    assert 20_000 * 17 / 16 <= ring.slots <= 20_000 * 17 / 16 + 2 * 21


def test_windows_for_a_gpu_are_gathered_into_page_locked_memory(monkeypatch):
    buffer, _ = filled(3)
    there = StreamBuffer(SPEC, 3, 24, (SHAPE,), "cuda", storage="host")
    source, pinned, empty = TickSource(3, 3), [], torch.empty

    def locked(*shape, pin_memory=False, **options):
        pinned.append(pin_memory)
        return empty(*shape, **options)

    monkeypatch.setattr(torch, "empty", locked)
    monkeypatch.setattr("embodied_ssl.buffer.windows.Windows.to", lambda windows, _: windows)
    for _ in range(20):
        there.append(source.tick())
    lanes, ends = torch.tensor([0, 1]), torch.tensor([19, 19])
    there.gather(lanes, ends, SHAPE.length)
    assert pinned == [True] * len(SPEC.sensors)
    buffer.gather(lanes, ends, SHAPE.length)
    assert len(pinned) == len(SPEC.sensors)


def lists_of(buffer, model, lanes, ends, length, offsets=None):
    windows = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), length, offsets)
    steps = range(1 - length, 1) if offsets is None else offsets
    for b, (lane, end) in enumerate(zip(lanes, ends, strict=True)):
        start = model.start(lane, end)
        for step, back in enumerate(steps):
            now = end + back
            assert int(windows.tick[b, step]) == now
            assert bool(windows.valid[b, step]) == (now >= start)
            check_rows(windows, model, b, lane, step, now, start, now >= start)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("offsets", [(0,), (-7, 0), (-7, -6, -3, -2, 0), (-4, -1, 0)])
def test_only_the_ticks_asked_for_are_those_of_the_model(seed, offsets):
    buffer, model = filled(100 + seed)
    lanes, ends = buffer.indices[SHAPE].all_legal()
    lists_of(buffer, model, lanes, ends, SHAPE.length, offsets)
    camera = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length, offsets).frames["camera"]
    assert camera.values.shape[1] == len(offsets)


@pytest.mark.parametrize("offsets", [(), (-1,), (-8, 0), (0, 0), (-1, -2, 0)])
def test_offsets_that_make_no_window_are_refused(offsets):
    buffer, _ = filled(0)
    with pytest.raises(ValueError, match="expected ascending ticks from above -8 to 0"):
        buffer.gather(torch.tensor([0]), torch.tensor([20]), SHAPE.length, offsets)


@pytest.mark.parametrize("num_appends", [23, 24, 25, 47, 48, 49, 150])
@pytest.mark.parametrize("length", [1, 3, 8, 17, 24])
def test_windows_of_any_length_when_full_and_around_the_end(num_appends, length):
    # Lengths beyond those declared are read row by row, shorter ones in blocks: both are the model's.
    buffer, model = filled(num_appends, guard=0, num_appends=num_appends, asynchronous=False)
    newest = num_appends - 1
    ends = np.arange(max(0, newest - 23 + length - 1), newest + 1)
    lists_of(buffer, model, np.repeat(np.arange(3), len(ends)), np.tile(ends, 3), length)


@pytest.mark.parametrize("seed", range(4))
def test_many_short_episodes_are_counted_right(seed):
    # Episodes of a tick or two: the ring of starts has to grow, and most ends are legal for no one.
    source, shape = TickSource(3, seed, end_chance=0.5), WindowShape(2, 1)
    buffer, model = StreamBuffer(SPEC, 3, 40, (shape, SHAPE)), PlainModel(3, 40, 0)
    for _ in range(130):
        tick = source.tick(np.sort(source.rng.permutation(3)[: source.rng.integers(1, 4)]))
        buffer.append(tick)
        model.append(tick)
    lanes, ends = buffer.indices[shape].all_legal()
    expected = [(lane, end) for lane in range(3) for end in model.legal_ends(lane, shape)]
    assert list(zip(lanes.tolist(), ends.tolist(), strict=True)) == expected
    assert buffer.num_legal(shape) == len(expected) > 20
    lanes, ends = buffer.indices[SHAPE].all_legal()
    assert list(zip(lanes.tolist(), ends.tolist(), strict=True)) == [
        (lane, end) for lane in range(3) for end in model.legal_ends(lane)
    ]


def test_numbers_name_the_same_ends_while_others_expire():
    source, buffer = TickSource(2, 9, end_chance=0.1), StreamBuffer(SPEC, 2, 30, (SHAPE,), guard_ticks=1)
    index, known = buffer.indices[SHAPE], [{}, {}]
    for _ in range(120):
        buffer.append(source.tick())
        expired, added = index.spans
        for lane in range(2):
            numbers = np.arange(expired[lane], added[lane])
            for number, end in zip(numbers.tolist(), index.end(np.full(len(numbers), lane), numbers), strict=True):
                assert known[lane].setdefault(number, int(end)) == end
    assert min(len(ends) for ends in known) > 40


def test_memory_is_little_more_than_the_raw_bytes():
    spec = StreamSpec(
        (
            SensorSpec("rgb", "camera", (84, 84, 3), dtype="uint8"),
            SensorSpec("proprio", "joint", (24,)),
            SensorSpec("imu", "imu", (6,)),
        ),
        action_size=6,
        control_hz=20.0,
    )
    rings = StreamBuffer.ring_shapes(spec, 8, 6250, [WindowShape(1, 8)], {})
    assert sum(ring.num_bytes for ring in rings.values()) < 1.07 * 50_000 * 21_317
    vectors = StreamSpec((SensorSpec("obs", "joint", (64,)),), action_size=12, control_hz=20.0)
    rings = StreamBuffer.ring_shapes(vectors, 64, 15_625, [WindowShape(1, 15)], {})
    assert sum(ring.num_bytes for ring in rings.values()) < 1.12 * 1_000_000 * 309
