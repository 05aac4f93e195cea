"""A recording gives back the live run: the same steps, and the same buffer table by table."""

from __future__ import annotations

import itertools
import json

import gymnasium as gym
import numpy as np
import pytest
from counting_env import make_counting, play
from gymnasium.vector import AutoresetMode
from streams import SPEC, TickSource

from embodied_ssl.buffer.segments import export_since
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording
from embodied_ssl.sources.replay import TickReplay
from embodied_ssl.sources.replay_cursor import RowCursor
from embodied_ssl.sources.simulation import TickMaker

SHAPE = WindowShape(3, 2)


class Live:
    """A buffer fed live while the same steps are recorded."""

    def __init__(self, path, spec, num_lanes, capacity=1000):
        self.spec, self.num_lanes, self.capacity, self.path = spec, num_lanes, capacity, path
        self.buffer, self.steps = self.empty(), []
        self.writer = create_recording(path, spec, num_lanes, fsync=False)
        self.recorder = TickRecorder(self.writer, spec, num_lanes)

    def empty(self):
        return StreamBuffer(self.spec, self.num_lanes, self.capacity, (SHAPE,))

    def take(self, ticks):
        for tick in ticks:
            self.buffer.append(tick)
        self.recorder.write(ticks)
        self.steps.append(ticks)

    def replayed(self):
        """Close the log, replay it into a new buffer and return buffer and steps."""
        self.writer.close()
        replay, buffer, steps = TickReplay(StreamLog.open(self.path)), self.empty(), []
        for step in replay:
            steps.append(step)
            for tick in step:
                buffer.append(tick)
        assert replay.num_steps == len(steps)
        assert replay.num_ticks == sum(len(tick.lanes) for step in steps for tick in step)
        return buffer, steps


def tables(buffer):
    zero = np.zeros(buffer.num_lanes, np.int64)
    found = {k: v.numpy() for k, v in export_since(buffer, zero, dict.fromkeys(buffer.row_count, zero)).items()}
    found |= {f"table.{k}": v for k, v in buffer.table.state().items()}
    found |= {f"index.{k}": v for k, v in enumerate(buffer.indices[SHAPE].all_legal())}
    return found | {f"count.{k}": v for k, v in buffer.row_count.items()}


def assert_same_buffer(live, other):
    one, two = tables(live), tables(other)
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].dtype == two[name].dtype, name
        assert one[name].tobytes() == two[name].tobytes(), name  # bit for bit: NaN and negative zero too
    assert live.num_overflow_rows == other.num_overflow_rows


def assert_same_flow(steps, replayed):
    steps = [[tick for tick in step if len(tick.lanes)] for step in steps]
    steps = [step for step in steps if step]
    assert [len(step) for step in steps] == [len(step) for step in replayed]
    for one, two in zip(itertools.chain(*steps), itertools.chain(*replayed), strict=True):
        for field in ("lanes", "is_first", "terminated", "truncated", "action", "reward"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
        for name, fresh in one.fresh.items():
            np.testing.assert_array_equal(fresh.sum(1), two.fresh[name].sum(1))
            np.testing.assert_array_equal(one.rows[name][fresh], two.rows[name][two.fresh[name]])
            np.testing.assert_array_equal(one.age_s[name][fresh], two.age_s[name][two.fresh[name]])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_autoreset_mode_comes_back(tmp_path, mode):
    envs = make_counting(mode)
    maker = TickMaker(envs)
    live = Live(tmp_path / "a.zarr", maker.spec, envs.num_envs)
    play(envs, mode, 60, lambda *r: live.take([maker.reset(*r)]), lambda *s: live.take(maker.step(*s)))
    buffer, steps = live.replayed()
    if mode == AutoresetMode.SAME_STEP:
        assert max(len(step) for step in steps) == 2
    assert_same_flow(live.steps, steps)
    assert_same_buffer(live.buffer, buffer)


def test_a_runner_with_faulty_sensors_comes_back(tmp_path):
    envs = gym.make_vec("embodied_envs:Embodied/Runner-v0", num_envs=3, vectorization_mode="vector_entry_point")
    maker, rng = TickMaker(envs), np.random.default_rng(0)
    live = Live(tmp_path / "a.zarr", maker.spec, 3, capacity=40)  # the rings wrap
    live.take([maker.reset(*envs.reset(seed=0))])
    for _ in range(70):
        action = maker.to_env(rng.uniform(-1, 1, (3, maker.spec.action_size)).astype(np.float32))
        live.take(maker.step(action, *envs.step(action)))
    envs.close()
    ages = np.concatenate([t.age_s[n][f] for s in live.steps for t in s for n, f in t.fresh.items()])
    assert len(np.unique(ages)) > 3  # latency: ages worth keeping
    buffer, steps = live.replayed()
    assert_same_flow(live.steps, steps)
    assert_same_buffer(live.buffer, buffer)


def test_whole_nanosecond_ages_survive_float32():
    rng = np.random.default_rng(0)
    k = np.concatenate([rng.integers(0, 10**e, 20_000) for e in range(1, 13)])
    age_s = (k / 1e9).astype(np.float32)
    recorded_ns = np.rint(age_s.astype(np.float64) * 1e9).astype(np.int64)
    assert ((recorded_ns / 1e9).astype(np.float32) == age_s).all()


def record_source(path, num_lanes=4, num_steps=120, seed=0):
    """Ticks of subsets of lanes, with ages of whole nanoseconds."""
    source, live = TickSource(num_lanes, seed), Live(path, SPEC, num_lanes, capacity=30)
    rng = np.random.default_rng(seed)
    for _ in range(num_steps):
        tick = source.tick(np.flatnonzero(rng.random(num_lanes) < 0.7))
        for name, age_s in tick.age_s.items():
            tick.age_s[name][...] = (np.rint(age_s.astype(np.float64) * 1e9) / 1e9).astype(np.float32)
        live.take([tick])
    return live


@pytest.mark.parametrize("block_rows", [1, 3, 4096])
def test_asynchronous_lanes_come_back_whatever_the_block_size(tmp_path, monkeypatch, block_rows):
    monkeypatch.setattr("embodied_ssl.sources.replay_cursor.MAX_BLOCK_ROWS", block_rows)
    live = record_source(tmp_path / "a.zarr", seed=block_rows)
    buffer, steps = live.replayed()
    assert_same_flow(live.steps, steps)
    assert_same_buffer(live.buffer, buffer)


def test_a_cursor_goes_on_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr("embodied_ssl.sources.replay_cursor.MAX_BLOCK_ROWS", 7)
    live = record_source(tmp_path / "a.zarr", num_steps=40)
    _, steps = live.replayed()
    log = StreamLog.open(live.path)
    replay = TickReplay(log)
    for cut in range(len(steps) + 1):
        state = json.loads(json.dumps(replay.state()))
        rest = TickReplay(log)
        rest.load_state(state)
        assert rest.step == cut
        assert_same_flow(steps[cut:], list(rest))
        replay.next_step()


def test_only_whole_steps_come_back_from_a_recording_cut_anywhere(tmp_path):
    """Rows of sensors that a killed recorder committed without a tick are passed over, also when it goes on."""
    live = record_source(tmp_path / "a.zarr", num_steps=20)
    live.writer.append("joint", np.ones((2, 2), np.float32), [10**10] * 2, [10**10] * 2, [999, 0], [0, 1], [999, 0])
    _, steps = live.replayed()
    assert_same_flow(live.steps, steps)
    source = TickSource(4, 77)
    with StreamLog.append_to(live.path, fsync=False) as writer:
        recorder = TickRecorder(writer, SPEC, 4)
        later = [source.tick() for _ in range(5)]
        for tick in later:
            recorder.write([tick])
    replay = TickReplay(StreamLog.open(live.path))
    again = list(replay)
    assert_same_flow(steps, again[: len(steps)])
    assert len(again) == len(steps) + 5
    for one, (two,) in zip(later, again[len(steps) :], strict=True):
        for name, fresh in one.fresh.items():
            np.testing.assert_array_equal(one.rows[name][fresh], two.rows[name][two.fresh[name]])
    assert all(again[len(steps)][0].is_first)
    assert sum(replay.num_lost_rows.values()) == 0


def test_a_growing_recording_is_followed(tmp_path):
    source = TickSource(2, 0)
    with create_recording(tmp_path / "a", SPEC, 2, fsync=False) as writer:
        recorder, log = TickRecorder(writer, SPEC, 2), StreamLog.open(tmp_path / "a")
        replay, steps = TickReplay(log), []
        for number in range(12):
            recorder.write([source.tick()])
            if number % 3 == 2:
                writer.flush()
                log.refresh()
                steps += list(replay)
                assert len(steps) == number + 1
    assert_same_flow(steps, list(TickReplay(StreamLog.open(tmp_path / "a"))))


def test_memory_is_bounded_by_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("embodied_ssl.sources.replay_cursor.MAX_BLOCK_ROWS", 16)
    live = record_source(tmp_path / "a.zarr", num_steps=200)
    live.writer.close()
    log = StreamLog.open(live.path)
    cursor, most = RowCursor(log, "tick"), 0
    while (time_ns := cursor.peek_ns()) is not None:
        cursor.take(time_ns)
        most = max(most, len(cursor._held))
    assert most <= 2 * 16 + 4


def test_a_log_of_packets_is_refused(tmp_path):
    from embodied_ssl.logs.tick_recorder import recorded_streams

    StreamLog.create(tmp_path / "a", recorded_streams(SPEC), fsync=False).close()
    with pytest.raises(LogError, match="LogTicks"):
        TickReplay(StreamLog.open(tmp_path / "a"))
