# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
"""What the ears hear, against what the source emits: delay, loudness, side, shadow, Doppler shift, clock."""

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch

from embodied_envs.line_of_sight import LineOfSight
from embodied_envs.microphones import (
    SPEED_OF_SOUND,
    Microphones,
    Sounds,
    add_microphones,
    barrier_gain,
    draw_sound,
    emitted,
    sound_size,
)
from embodied_envs.sensors import Computed, Sensor

EARS = ("left", "right")
HALF_DISTANCE_M = 0.1
TIMESTEP_S, WINDOW_S, LATENCY_S, RATE_HZ = 0.005, 0.05, 0.01, 2000.0
ROWS = round(WINDOW_S * RATE_HZ)
NUM_TONES = 16  # enough for a correlation with one clear peak
OMNI = Microphones(EARS, ("speaker",), NUM_TONES, ("wall",), directivity=0.0)


class Room:
    """A head with two ears at the origin, a speaker and a wall, in as many lanes as places for the speaker."""

    def __init__(self, places, band_hz=(100.0, 800.0), microphones=OMNI, latency_s=LATENCY_S):
        spec = mujoco.MjSpec()
        spec.option.timestep = TIMESTEP_S
        spec.nuserdata = sound_size(1, NUM_TONES)
        head = spec.worldbody.add_body(name="head", mocap=True)
        for name, sign in zip(EARS, (1.0, -1.0), strict=True):
            head.add_site(name=name, pos=[0, sign * HALF_DISTANCE_M, 0], zaxis=[0, sign, 0])
        spec.worldbody.add_body(name="speaker", mocap=True)
        wall = spec.worldbody.add_body(name="wall", mocap=True, pos=[0, 0, -50])
        wall.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.05, 1.0, 1.0])
        add_microphones(spec, EARS, WINDOW_S, latency_s)
        self.batch = Batch(spec.compile(), len(places), 1)
        self.mocap = self.batch.bind("mocap_pos")
        self.mocap[:, 1] = places
        sound = draw_sound(np.random.default_rng(0), band_hz, 0.2, NUM_TONES)
        self.batch.bind("userdata")[:] = sound
        shape = (ROWS, 2)
        sensor = Sensor(
            "ears", "audio", "Pa", RATE_HZ, shape, 0.0, -9.0, 9.0, Computed(microphones), latency_s=latency_s
        )
        self.reader = microphones(self.batch, sensor)
        self.batch.forward()
        self.sounds = Sounds.unpack(self.batch.bind("userdata")[:1], 1, NUM_TONES)  # the same in all lanes

    def play(self, ticks, move=None):
        """Return sample times [row] and pressure [lane, row, ear] of all ticks, valid rows only."""
        times, values, first = [], [], np.zeros(self.batch.nsim, bool)
        for _ in range(ticks):
            for _ in range(round(WINDOW_S / TIMESTEP_S)):
                if move is not None:
                    move(self.mocap, self.batch.bind("time")[0])
                self.batch.step()
            reading = self.reader.read(first, None)
            assert reading.age_s is not None
            assert reading.valid is not None
            keep = reading.valid[0] > 0
            times.append((self.batch.bind("time")[0] - reading.age_s[0])[keep])
            values.append(reading.values[:, keep])
        return np.concatenate(times), np.concatenate(values, axis=1)


def measured_delay(room, times, signal):
    """Return the delay in s at which the emitted signal correlates best, on a grid of 50 microseconds."""
    times, signal = times[::7], signal[::7]
    delays = np.arange(0.0, 0.03, 5e-5)
    sent = emitted(room.sounds, (times[:, None] - delays).ravel())[0, 0].reshape(len(times), -1)
    scores = (sent * signal[:, None]).sum(axis=0) / np.linalg.norm(sent, axis=0)
    return delays[scores.argmax()]


def rms(signal, axis=1):
    return np.sqrt(np.square(signal).mean(axis=axis))


def test_sound_arrives_later_and_softer_from_farther_away():
    distances = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    room = Room([[d, 0, 0] for d in distances])
    times, heard = room.play(20)
    to_ear = np.hypot(distances, HALF_DISTANCE_M)
    for lane, distance in enumerate(to_ear):
        assert measured_delay(room, times, heard[lane, :, 0]) == pytest.approx(distance / SPEED_OF_SOUND, abs=5e-5)
    loudness = rms(heard[:, :, 0])
    # Over one second the beat of what arrives from afar is another part of the beat: hence 3 percent.
    np.testing.assert_allclose(loudness * to_ear, np.full(5, loudness[0] * to_ear[0]), rtol=0.03)


def test_what_is_heard_is_the_emitted_sound_delayed():
    """Also between ticks: all rows together are one signal at 2 kHz without a seam."""
    room = Room([[1.3, 0.4, 0.2]])
    times, heard = room.play(10)
    np.testing.assert_allclose(np.diff(times), 1.0 / RATE_HZ, atol=1e-7)
    for ear, sign in enumerate((1.0, -1.0)):
        distance = np.linalg.norm([1.3, 0.4 - sign * HALF_DISTANCE_M, 0.2])
        expected = emitted(room.sounds, times - distance / SPEED_OF_SOUND)[0, 0] / distance
        # The beat is linear within a tick: 0.6 * (2 pi * 1 Hz * 0.05 s)^2 / 8 is 0.7 percent at most.
        np.testing.assert_allclose(heard[0, :, ear], expected, atol=0.01 * np.abs(expected).max())


def test_the_ear_on_the_side_of_the_source_hears_it_first_and_loudest():
    ears = Microphones(EARS, ("speaker",), NUM_TONES, ("wall",), directivity=0.3)
    room = Room([[0, 2, 0], [0, -2, 0], [2, 0, 0]], microphones=ears)
    times, heard = room.play(20)
    delay = np.array([[measured_delay(room, times, heard[lane, :, ear]) for ear in (0, 1)] for lane in range(3)])
    np.testing.assert_allclose(np.diff(delay)[:, 0] * SPEED_OF_SOUND, [0.2, -0.2, 0.0], atol=0.035)
    left_over_right = rms(heard)[:, 0] / rms(heard)[:, 1]
    expected = 1.0 / 0.4 * 2.1 / 1.9  # pattern 0.7 + 0.3 cos, and the way around
    np.testing.assert_allclose(left_over_right, [expected, 1 / expected, 1.0], rtol=0.01)


@pytest.mark.parametrize("band_hz", [(100.0, 200.0), (700.0, 800.0)])
def test_a_wall_weakens_sound_and_high_tones_more(band_hz):
    room = Room([[2, 0, 0], [2, 0, 0]], band_hz)
    room.mocap[1, 2] = [1, 0, 0]
    _, heard = room.play(10)
    ratio = rms(heard)[1] / rms(heard)[0]
    assert (ratio < barrier_gain(np.array(band_hz[0])) + 0.01).all()
    assert (ratio > barrier_gain(np.array(band_hz[1])) - 0.01).all()


def test_a_moving_head_hears_the_doppler_shift():
    """The heard signal is the emitted one at t - d(t) / c with the true distance at every sample."""
    speed = 2.0
    room = Room([[5, 0, 0]])

    def towards(mocap, time):
        mocap[:, 0, 0] = speed * time

    times, heard = (
        signal[..., 81:] for signal in _rows_last(room.play(20, towards))
    )  # the first reading knows one pose
    distance = np.hypot(5.0 - speed * times, HALF_DISTANCE_M)
    expected = emitted(room.sounds, times - distance / SPEED_OF_SOUND)[0, 0] / distance
    np.testing.assert_allclose(heard[0, 0], expected, atol=0.012 * np.abs(expected).max())


def _rows_last(played):
    times, heard = played
    return times, heard.swapaxes(1, 2)


def test_clock_ages_and_validity():
    room = Room([[1, 0, 0]])
    first = np.ones(1, bool)
    before = room.reader.read(first, None).valid
    assert before is not None
    assert not before.any()
    room.batch.step(nstep=10)
    reading = room.reader.read(~first, None)
    assert reading.age_s is not None
    assert reading.valid is not None
    expected = LATENCY_S + np.arange(ROWS - 1, -1, -1) / RATE_HZ
    np.testing.assert_allclose(reading.age_s, expected[None], atol=1e-7)
    # At 50 ms, rows older than 50 ms were due before the episode.
    np.testing.assert_array_equal(reading.valid[0], expected <= WINDOW_S + 1e-9)
    again = room.reader.read(~first, None)
    np.testing.assert_array_equal(reading.values, again.values)


def test_knots_are_the_ends_of_the_reading():
    room = Room([[1, 0, 0]])
    room.batch.step(nstep=10)
    for _ in range(400):
        room.batch.step(nstep=10)
        times_s, _ = room.reader._history.read()
        age_s = room.batch.bind("time")[0] - times_s[0]
        np.testing.assert_allclose(age_s, [LATENCY_S + WINDOW_S, LATENCY_S], atol=1e-9)


def test_a_silent_source_is_silent():
    room = Room([[1, 0, 0]])
    room.batch.bind("userdata")[:] = draw_sound(np.random.default_rng(0), (100.0, 200.0), 0.0, NUM_TONES)
    _, heard = room.play(2)
    assert (heard == 0).all()


def test_level_is_the_effective_pressure_at_one_metre():
    room = Room([[1, 0, 0]])
    seconds = np.arange(0, 40, 1.0 / RATE_HZ)
    beat = 1 + 0.5 * room.sounds.beat_depth[0, 0] ** 2
    assert rms(emitted(room.sounds, seconds)[0, 0], axis=0) == pytest.approx(0.2 * np.sqrt(beat), rel=0.02)


@pytest.mark.parametrize("latency_s", [0.0, 0.012])
def test_a_latency_off_the_timestep_is_refused(latency_s):
    with pytest.raises(ValueError, match="multiples of the timestep"):
        Room([[1, 0, 0]], latency_s=latency_s)


def _boxes(num_lanes, generator):
    spec = mujoco.MjSpec()
    for index, half in enumerate(([0.5, 0.1, 0.3], [0.2, 0.2, 0.2], [0.1, 0.6, 0.4])):
        body = spec.worldbody.add_body(name=f"box{index}", mocap=True)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half)
    ball = spec.worldbody.add_body(name="ball")
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.1, 0, 0])
    batch = Batch(spec.compile(), num_lanes, 1)
    batch.bind("mocap_pos")[:] = generator.uniform(-1, 1, (num_lanes, 3, 3))
    quat = generator.normal(size=(num_lanes, 3, 4))
    batch.bind("mocap_quat")[:] = quat / np.linalg.norm(quat, axis=2, keepdims=True)
    return batch


def test_line_of_sight_is_what_the_engine_casts():
    generator = np.random.default_rng(0)
    batch = _boxes(6, generator)
    batch.forward()
    sight = LineOfSight(batch, ("box0", "box1", "box2"))
    ball = batch.model.body("ball").id
    for _ in range(2):
        start, end = generator.uniform(-1.5, 1.5, (2, 6, 200, 3))
        hit, _ = batch.ray(start, end - start, bodyexclude=ball)
        # The engine's ray that starts inside a box meets its far side; beyond the end counts for us too.
        inside = np.zeros_like(hit, bool)
        for box in range(3):
            half = batch.model.geom_size[box]
            rotation = np.stack([_rotation(q) for q in batch.bind("mocap_quat")[:, box]])
            local = (start - batch.bind("mocap_pos")[:, None, box]) @ rotation
            inside |= (np.abs(local) <= half).all(axis=2)
        clear = sight.is_clear(start, end - start)
        np.testing.assert_array_equal(clear, ~(((hit >= 0) & (hit <= 1)) | inside))
        assert 0.2 < clear.mean() < 0.9
        batch.bind("mocap_pos")[:] = generator.uniform(-1, 1, (6, 3, 3))  # moved boxes are seen where they are


def _rotation(quat):
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def test_line_of_sight_needs_boxes():
    batch = _boxes(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="'ball', expected a mocap body"):
        LineOfSight(batch, ("box0", "ball"))
