"""The encoder: step form = window form, exact causality, missing sensors without influence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.config import EncoderConfig
from embodied_ssl.encoders.standardizer import Standardizer
from embodied_ssl.encoders.stream_encoder import StreamEncoder, View

CONTEXT, NUM_LANES = 5, 3
SHAPE = WindowShape(CONTEXT, 4)
CONFIG = EncoderConfig(context_ticks=CONTEXT, features_dim=8, hidden_dim=12, image_dim=6)


def make_encoder(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StreamEncoder(SPEC, CONFIG).eval().requires_grad_(False)


def ticks_of(seed, num_ticks=60, end_chance=0.08):
    source = TickSource(NUM_LANES, seed, end_chance=end_chance)
    return [source.tick() for _ in range(num_ticks)]


def buffer_of(ticks, capacity=200):
    buffer = StreamBuffer(SPEC, NUM_LANES, capacity, (SHAPE,))
    for tick in ticks:
        buffer.append(tick)
    return buffer


def newest(buffer, length):
    lanes = np.arange(NUM_LANES)
    return buffer.gather(torch.from_numpy(lanes), torch.from_numpy(buffer.newest(lanes)), length)


def at(buffer, tick, length):
    return buffer.gather(torch.arange(NUM_LANES), torch.full((NUM_LANES,), tick), length)


def perturbed(tick, drops=0.5):
    """The same tick with other contents: rows, ages and action; some rows do not come."""
    rng = np.random.default_rng(int(tick.action.view(np.uint32).sum()))
    return dataclasses.replace(
        tick,
        rows={k: rng.integers(0, 255, v.shape).astype(v.dtype) for k, v in tick.rows.items()},
        age_s={k: v + 1 for k, v in tick.age_s.items()},
        fresh={k: v & (rng.random(v.shape) >= drops) for k, v in tick.fresh.items()},
        action=-tick.action,
        reward=tick.reward + 7,
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("capacity", [SHAPE.length, 200])
def test_the_step_form_is_the_window_form_at_every_tick(seed, capacity):
    encoder, buffer = make_encoder(), StreamBuffer(SPEC, NUM_LANES, capacity, (SHAPE,))
    state, num_starts = encoder.initial_state(NUM_LANES), 0
    for tick in ticks_of(seed):
        buffer.append(tick)
        num_starts += int(tick.is_first.sum())
        stepped, state = encoder.step(state, newest(buffer, 1))
        torch.testing.assert_close(stepped, encoder(newest(buffer, CONTEXT))[:, 0], rtol=1e-5, atol=1e-5)
    assert num_starts > NUM_LANES


def test_longer_windows_give_the_same_embeddings_as_exact_ones():
    encoder, buffer = make_encoder(), buffer_of(ticks_of(1, end_chance=0.0))
    long = encoder(at(buffer, 50, 20))
    for back in range(16):
        torch.testing.assert_close(
            long[:, -1 - back], encoder(at(buffer, 50 - back, CONTEXT))[:, 0], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("seed", range(4))
def test_the_future_has_exactly_no_influence(seed):
    encoder, ticks, now = make_encoder(), ticks_of(seed, 40, end_chance=0.0), 25
    changed = ticks[: now + 1] + [perturbed(tick) for tick in ticks[now + 1 :]]
    length, end = CONTEXT + 8, now + 4
    before, after = (encoder(at(buffer_of(t), end, length)) for t in (ticks, changed))
    num_past = before.shape[1] - (end - now)
    assert torch.equal(before[:, :num_past], after[:, :num_past])
    assert (before[:, num_past:] != after[:, num_past:]).any()


@pytest.mark.parametrize("seed", range(4))
def test_the_previous_episode_has_exactly_no_influence(seed):
    encoder, ticks, first = make_encoder(), ticks_of(seed, 30, end_chance=0.0), 20
    ticks[first] = dataclasses.replace(ticks[first], is_first=np.ones(NUM_LANES, bool))
    # Rows that arrive shift row numbers: the changed episode delivers other rows and another number of them.
    changed = [tick if i >= first or i == 0 else perturbed(tick) for i, tick in enumerate(ticks)]
    state, other = encoder.initial_state(NUM_LANES), encoder.initial_state(NUM_LANES)
    buffer, changed_buffer = buffer_of([]), buffer_of([])
    for now, (tick, alike) in enumerate(zip(ticks, changed, strict=True)):
        buffer.append(tick)
        changed_buffer.append(alike)
        stepped, state = encoder.step(state, newest(buffer, 1))
        stepped_other, other = encoder.step(other, newest(changed_buffer, 1))
        if now >= first:
            assert torch.equal(stepped, stepped_other)
            assert torch.equal(encoder(newest(buffer, CONTEXT)), encoder(newest(changed_buffer, CONTEXT)))
    assert not torch.equal(encoder(at(buffer, 15, CONTEXT)), encoder(at(changed_buffer, 15, CONTEXT)))


def test_the_receptive_field_is_exactly_the_context():
    encoder, ticks, now = make_encoder(), ticks_of(3, 40, end_chance=0.0), 30

    # Only fast fields are changed: a held camera frame of an older tick is legally seen by newer ticks.
    def with_action_changed(index):
        changed = list(ticks)
        changed[index] = dataclasses.replace(ticks[index], action=-ticks[index].action)
        return encoder(at(buffer_of(changed), now, CONTEXT))

    plain = encoder(at(buffer_of(ticks), now, CONTEXT))
    assert not torch.equal(with_action_changed(now - CONTEXT + 1), plain)
    assert torch.equal(with_action_changed(now - CONTEXT), plain)


def test_masked_rows_and_frames_have_exactly_no_influence():
    encoder, buffer = make_encoder(), buffer_of(ticks_of(4))
    windows = at(buffer, 40, SHAPE.length)
    rows = {
        name: dataclasses.replace(
            r, values=torch.where(r.mask[..., None], r.values, 1e3), age_s=torch.where(r.mask, r.age_s, 9.0)
        )
        for name, r in windows.rows.items()
    }
    assert any(not r.mask.all() for r in windows.rows.values())
    camera = windows.frames["camera"]
    used = torch.zeros(camera.values.shape[:2]).scatter_add(1, camera.slot, camera.mask.float()) > 0
    assert not used.all()
    values = torch.where(used[..., None, None, None], camera.values, 255 - camera.values)
    changed = dataclasses.replace(windows, rows=rows, frames={"camera": dataclasses.replace(camera, values=values)})
    assert torch.equal(encoder(changed), encoder(windows))


@pytest.mark.parametrize("missing", [s.name for s in SPEC.sensors])
def test_a_sensor_that_never_comes_is_tolerated(missing):
    encoder = make_encoder()
    ticks = [
        dataclasses.replace(t, fresh={**t.fresh, missing: np.zeros_like(t.fresh[missing])}) for t in ticks_of(5, 20)
    ]
    embedding = encoder(newest(buffer_of(ticks), CONTEXT))
    assert torch.isfinite(embedding).all()
    assert embedding.std() > 0


def test_a_hidden_sensor_is_as_good_as_missing_in_its_window_only():
    encoder, buffer = make_encoder(), buffer_of(ticks_of(6))
    windows = at(buffer, 40, SHAPE.length)
    none = {s.name: torch.zeros_like(windows.rows[s.name].values) for s in SPEC.vectors}
    still = {"camera": torch.zeros(NUM_LANES, 2, dtype=torch.int64)}
    for index, sensor in enumerate([*SPEC.sensors, None]):
        keep = torch.ones(NUM_LANES, len(SPEC.sensors) + 1, dtype=torch.bool)
        keep[1, index] = False
        hidden = encoder(windows, View(none, still, keep))
        shown = encoder(windows, View(none, still, None))
        assert torch.equal(hidden[[0, 2]], shown[[0, 2]])
        assert not torch.equal(hidden[1], shown[1])
        if sensor is not None and not sensor.is_image:
            rows = windows.rows[sensor.name]
            other = dataclasses.replace(rows, values=rows.values + 50)
            changed = dataclasses.replace(windows, rows={**windows.rows, sensor.name: other})
            assert torch.equal(encoder(changed, View(none, still, keep))[1], hidden[1])


def test_windows_beyond_the_frame_budget_see_the_camera_as_missing():
    encoder, buffer = make_encoder(), buffer_of(ticks_of(7, end_chance=0.0))
    windows = at(buffer, 40, SHAPE.length)
    num_frames = windows.frames["camera"].values.shape[1]
    limited = encoder(windows.limit_frames(num_frames * 2))
    full = encoder(windows)
    torch.testing.assert_close(limited[:2], full[:2], rtol=1e-5, atol=1e-5)
    gone = dataclasses.replace(windows.frames["camera"], mask=torch.zeros_like(windows.frames["camera"].mask))
    without = encoder(dataclasses.replace(windows, frames={"camera": gone}))
    torch.testing.assert_close(limited[2], without[2], rtol=1e-5, atol=1e-5)


def test_state_of_history_continues_like_the_carried_state():
    encoder, ticks = make_encoder(), ticks_of(8, 30)
    buffer, state = buffer_of([]), encoder.initial_state(NUM_LANES)
    for tick in ticks[:-1]:
        buffer.append(tick)
        _, state = encoder.step(state, newest(buffer, 1))
    recomputed = encoder.tick_features(newest(buffer, CONTEXT - 1))
    buffer.append(ticks[-1])
    carried, _ = encoder.step(state, newest(buffer, 1))
    torch.testing.assert_close(encoder.step(recomputed, newest(buffer, 1))[0], carried, rtol=1e-5, atol=1e-5)


def test_readings_are_the_standardised_rows_that_arrived():
    encoder, buffer = make_encoder(), buffer_of(ticks_of(9))
    encoder.observe_statistics(at(buffer, 50, 20))
    windows = at(buffer, 50, SHAPE.length)
    readings, mask = encoder.readings(windows)
    assert readings.shape[-1] == sum(encoder.sensor_dims)
    column = 0
    for sensor, tokenizer in zip(SPEC.vectors, encoder.tokenizers[:3], strict=True):
        rows, standardizer = windows.rows[sensor.name], tokenizer.standardizer
        assert isinstance(standardizer, Standardizer)
        for row in range(SPEC.rows_per_tick(sensor)):
            expected = (rows.values[:, :, row] - standardizer.mean) / (standardizer.variance + 1e-6).sqrt()
            part = slice(column, column + sensor.size)
            torch.testing.assert_close(readings[..., part], expected.clamp(-10, 10))
            assert torch.equal(mask[..., part], rows.fresh[:, :, row, None].expand_as(expected))
            column += sensor.size
