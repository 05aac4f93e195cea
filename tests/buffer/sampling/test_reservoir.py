"""The long-term memory gives back the windows that the ring had, and only those."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from distributions import assert_follows
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.keep_least_redundant import KeepLeastRedundant
from embodied_ssl.buffer.sampling.keep_random import KeepRandom
from embodied_ssl.buffer.sampling.reservoir import Reservoir
from embodied_ssl.buffer.sampling.segment_cutter import MOST_AT_ONCE
from embodied_ssl.buffer.sampling.two_tier import WindowSource, join_tiers
from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError

SHAPE = WindowShape(context=5, horizon=3)
NUM_LANES = 3


class Spy(Reservoir):
    """Remembers where each slot's segment came from."""

    def _copy(self, segments, slots):
        self.origin = getattr(self, "origin", {})
        super()._copy(segments, slots)
        for i, slot in enumerate(slots.tolist()):
            self.origin[slot] = (int(segments.lanes[i]), int(segments.last[i]) + 1 - int(self._high[slot]))


def streamed(seed, keeper=None, num_ticks=400, num_slots=10, end_chance=0.03, asynchronous=True):
    """A small ring, its memory, and one ring that forgets nothing."""
    source, rng = TickSource(NUM_LANES, seed, end_chance=end_chance), np.random.default_rng(seed)
    ring = StreamBuffer(SPEC, NUM_LANES, 64, (SHAPE,), guard_ticks=2)
    truth = StreamBuffer(SPEC, NUM_LANES, num_ticks + 10, (SHAPE,))
    memory = Spy(ring, SHAPE, num_slots, 16, keeper or KeepRandom(num_slots), guard_ticks=2)
    for _ in range(num_ticks):
        some = source.rng.permutation(NUM_LANES)[: source.rng.integers(1, NUM_LANES + 1)] if asynchronous else None
        tick = source.tick(np.sort(some) if some is not None else None)
        ring.append(tick)
        truth.append(tick)
        memory.take_in(rng)
    return ring, truth, memory


def assert_same(kept, true, offset):
    """Windows of a slot against those of the ring that forgets nothing, all that a model can see."""
    for name, rows in kept.rows.items():
        for field in ("values", "mask", "fresh"):
            assert torch.equal(getattr(rows, field), getattr(true.rows[name], field)), (name, field)
        torch.testing.assert_close(rows.age_s, true.rows[name].age_s, rtol=0, atol=1e-5)
    for name, frames in kept.frames.items():
        other = true.frames[name]
        assert torch.equal(frames.mask, other.mask)
        torch.testing.assert_close(frames.age_s, other.age_s, rtol=0, atol=1e-5)
        each = torch.arange(len(frames.slot))[:, None]
        seen, wanted = frames.values[each, frames.slot], other.values[each, other.slot]
        assert torch.equal(seen[frames.mask], wanted[frames.mask])
    for name in ("action", "action_mask", "reward", "terminated", "valid"):
        assert torch.equal(getattr(kept, name), getattr(true, name)), name
    assert torch.equal(kept.tick + offset, true.tick)


@pytest.mark.parametrize("keeper", [KeepRandom, KeepLeastRedundant])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("end_chance", [0.01, 0.1])
def test_windows_are_those_of_a_ring_that_forgets_nothing(keeper, seed, end_chance):
    _, truth, memory = streamed(seed, keeper(10), end_chance=end_chance)
    slots, ends, _ = memory.weights()
    assert memory.num_kept == len(memory.origin) == 10
    assert int(memory.cutter.num_missed[0]) == 0
    lanes = np.array([memory.origin[slot][0] for slot in slots.tolist()])
    offset = np.array([memory.origin[slot][1] for slot in slots.tolist()])
    legal = set(zip(*(a.tolist() for a in truth.indices[SHAPE].all_legal()), strict=True))
    assert set(zip(lanes.tolist(), (ends + offset).tolist(), strict=True)) <= legal
    kept = memory.buffer.gather(torch.from_numpy(slots), torch.from_numpy(ends), SHAPE.length)
    true = truth.gather(torch.from_numpy(lanes), torch.from_numpy(ends + offset), SHAPE.length)
    assert_same(kept, true, torch.from_numpy(offset)[:, None])


def test_the_end_of_every_episode_that_left_the_ring_was_offered():
    ring, truth, memory = streamed(1, KeepRandom(1000), num_ticks=500, num_slots=1000)
    slots, ends, _ = memory.weights()
    kept = {(memory.origin[slot][0], memory.origin[slot][1] + end) for slot, end in zip(slots, ends, strict=True)}
    lanes, ends = truth.indices[SHAPE].all_legal()
    _, last = truth.table.bounds(lanes, ends)
    gone = last < memory.cutter.cursor[lanes]
    wanted = set(zip(lanes[gone].tolist(), last[gone].tolist(), strict=True))
    assert len(wanted) > 15
    assert wanted <= kept
    assert (memory.cutter.cursor >= truth.table.count - ring.capacity).all()


def test_ticks_that_were_overwritten_unseen_are_counted_and_the_rest_is_right():
    source, rng = TickSource(NUM_LANES, 3, end_chance=0.01), np.random.default_rng(3)
    ring = StreamBuffer(SPEC, NUM_LANES, 64, (SHAPE,), guard_ticks=2)
    truth = StreamBuffer(SPEC, NUM_LANES, 700, (SHAPE,))
    memory = Spy(ring, SHAPE, 40, 16, KeepRandom(40), guard_ticks=2)
    for number in range(600):
        tick = source.tick()
        ring.append(tick)
        truth.append(tick)
        if number % 90 == 89:
            memory.take_in(rng)
    assert int(memory.cutter.num_missed[0]) > 300
    slots, ends, _ = memory.weights()
    lanes = np.array([memory.origin[slot][0] for slot in slots.tolist()])
    offset = np.array([memory.origin[slot][1] for slot in slots.tolist()])
    kept = memory.buffer.gather(torch.from_numpy(slots), torch.from_numpy(ends), SHAPE.length)
    true = truth.gather(torch.from_numpy(lanes), torch.from_numpy(ends + offset), SHAPE.length)
    start = torch.from_numpy(offset) + kept.start
    whole = true.tick[:, 0] > start  # where an episode lost its head, its context shows as missing
    assert int(whole.sum()) > 50
    assert torch.equal(kept.action[whole], true.action[whole])


def test_lanes_in_step_are_taken_in_little_by_little_and_none_is_missed():
    source, rng = TickSource(30, 8, end_chance=0.0), np.random.default_rng(8)
    ring = StreamBuffer(SPEC, 30, 64, (SHAPE,), guard_ticks=2)
    memory = Reservoir(ring, SHAPE, 1000, 16, KeepRandom(1000), guard_ticks=2)
    taken = []
    for _ in range(200):
        ring.append(source.tick())
        taken.append(memory.take_in(rng))
    assert max(taken) == MOST_AT_ONCE
    assert int(memory.cutter.num_missed[0]) == 0
    assert memory.num_kept == sum(taken) >= 30 * ((200 - 64) // 16)
    assert (memory.cutter.cursor >= ring.table.count - ring.capacity).all()


def test_what_would_be_lost_is_taken_in_whatever_its_number():
    source, rng = TickSource(30, 9, end_chance=0.0), np.random.default_rng(9)
    ring = StreamBuffer(SPEC, 30, 64, (SHAPE,), guard_ticks=2)
    memory = Reservoir(ring, SHAPE, 1000, 16, KeepRandom(1000), guard_ticks=2)
    for number in range(200):
        ring.append(source.tick())
        if number % 12 == 11:  # more than eight segments fall due between two calls
            memory.take_in(rng)
    assert int(memory.cutter.num_missed[0]) == 0


def test_draws_are_uniform_over_the_windows_kept_and_groups_share_a_segment():
    _, _, memory = streamed(2, end_chance=0.1)
    slots, ends = memory.draw(60_000, np.random.default_rng(0), 3)
    assert (slots.reshape(-1, 3) == slots[::3, None]).all()
    for place in range(3):
        assert_follows(slots[place::3], ends[place::3], memory.weights())


@pytest.mark.parametrize("keeper", [KeepRandom, KeepLeastRedundant])
def test_a_restored_memory_goes_on_as_before(keeper):
    ring, _, memory = streamed(4, keeper(10))
    other = Reservoir(ring, SHAPE, 10, 16, keeper(10), guard_ticks=2)
    other.load_state({name: tensor.clone() for name, tensor in memory.state().items()})
    source = TickSource(NUM_LANES, 4)
    for number in range(80):
        ring.append(source.tick())
        assert memory.take_in(np.random.default_rng(number)) == other.take_in(np.random.default_rng(number))
    first, second = memory.state(), other.state()
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_a_batch_holds_the_shares_asked_for():
    ring, _, memory = streamed(5)
    source = WindowSource(Uniform(ring, SHAPE), reservoir=memory, share=0.25)
    rng, first = np.random.default_rng(0), 0
    for _ in range(200):
        picked = source.pick(16, 2, rng)
        assert picked.kept is not None
        assert (len(picked.recent[0]), len(picked.kept[0])) == (12, 4)
        first += picked.kept_first
    assert 25 <= first <= 75  # 50 expected


def test_the_share_of_a_memory_grows_as_it_fills():
    ring, _, memory = streamed(5, num_slots=100)
    assert 0 < memory.num_kept < 100
    kept = WindowSource(Uniform(ring, SHAPE), reservoir=memory, share=0.5).pick(64, 1, np.random.default_rng(0)).kept
    assert kept is not None
    assert len(kept[0]) == round(64 * 0.5 * memory.num_kept / 100)
    empty = Reservoir(StreamBuffer(SPEC, 3, 64, (SHAPE,)), SHAPE, 4, 16, KeepRandom(4))
    assert WindowSource(Uniform(ring, SHAPE), reservoir=empty).pick(8, 2, np.random.default_rng(0)).kept is None
    with pytest.raises(BufferFullError, match="holds no segment yet"):
        empty.draw(4, np.random.default_rng(0))


def test_distinct_episodes_hold_in_each_tier():
    ring, _, memory = streamed(6, num_ticks=450, end_chance=0.05)
    source = WindowSource(Uniform(ring, SHAPE), distinct_episodes=True, reservoir=memory, share=0.5)
    for seed in range(20):
        picked = source.pick(16, 2, np.random.default_rng(seed))
        assert picked.kept is not None
        for sampler, (lanes, ends) in ((source.sampler, picked.recent), (memory, picked.kept)):
            assert len(np.unique(sampler.episodes(lanes, ends))) == 4


@pytest.mark.parametrize("kept_first", [False, True])
def test_joined_tiers_are_both_batches_behind_each_other(kept_first):
    ring, _, memory = streamed(7)
    rng = np.random.default_rng(0)
    tiers = []
    for buffer, sampler in ((ring, Uniform(ring, SHAPE)), (memory.buffer, memory)):
        lanes, ends = (torch.from_numpy(a) for a in sampler.draw(6, rng, 2))
        tiers.append(buffer.gather(lanes, ends, SHAPE.length))
    batch = join_tiers(tiers[0], tiers[1], NUM_LANES, kept_first)
    tiers[1] = dataclasses.replace(tiers[1], lane=tiers[1].lane + NUM_LANES)
    parts = tiers[::-1] if kept_first else tiers
    for half, part in zip((slice(0, 6), slice(6, 12)), parts, strict=True):
        for field in dataclasses.fields(batch):
            one, other = getattr(batch, field.name), getattr(part, field.name)
            if isinstance(one, torch.Tensor):
                assert torch.equal(one[half], other), field.name
                continue
            for name, sensor in one.items():
                for key, value in vars(sensor).items():
                    assert torch.equal(value[half], vars(other[name])[key]), (name, key)


@pytest.mark.parametrize("segment_ticks", [8, 22])
def test_segments_that_do_not_fit_are_refused(segment_ticks):
    with pytest.raises(BufferFullError, match=f"segments have {segment_ticks} ticks"):
        Reservoir(StreamBuffer(SPEC, 2, 64, (SHAPE,)), SHAPE, 4, segment_ticks, KeepRandom(4))
