"""Microphones: what loudspeakers emit, as it arrives later, softer, from one side, or from behind an obstacle.

MuJoCo has no sound. Each source emits a sum of tones with a slow beat. At time t an ear at distance d hears

    p(t) = g(angle) / max(d, d0) * emitted(t - d / c)

with the speed of sound c, pressure falling as 1/d, and a first-order directional pattern g of the microphone. Because
the emitted sound is a sum of sinusoids it is exact at any delay, also at the fractions of a sample by which the two
ears differ, and a moving robot hears the Doppler shift. Behind an obstacle every tone is weakened as a barrier weakens
it, high tones more. There are no echoes.

A reading is a function of the simulation's state alone: poses of the ears come from the engine's own history, places
of the sources from `mocap_pos`, and what is played from `userdata`, drawn once per episode by the robot's reset. A
source is taken to have been where it is now during the whole reading.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.line_of_sight import LineOfSight
from embodied_envs.native_history import NativeHistory
from embodied_envs.readers import Reader, Reading
from embodied_envs.sensors import Sensor

__all__ = [
    "SPEED_OF_SOUND",
    "Microphones",
    "Sounds",
    "add_microphones",
    "barrier_gain",
    "draw_sound",
    "emitted",
    "sound_size",
]

SPEED_OF_SOUND = 343.0  # m/s, dry air at 20 degrees C
NEAREST_M = 0.25  # d0: the size of a loudspeaker; closer is not louder
DETOUR_M = 0.2  # how much longer the path around an obstacle is taken to be
NUM_KNOTS = 2  # distances, angles and the beat are linear between this many instants of a reading
_SCALARS = 3  # beat frequency, beat phase, beat depth
_TWO_PI = 2.0 * np.pi


@dataclass(frozen=True)
class Sounds:
    """What every source of every lane plays.

    Attributes:
        tone_hz: frequencies [lane, source, tone].
        tone_rad: phases at time 0 [lane, source, tone].
        tone_pa: amplitudes at 1 m [lane, source, tone].
        beat_hz: frequency of the amplitude's beat [lane, source].
        beat_rad: its phase at time 0 [lane, source].
        beat_depth: its depth, 0 to 1 [lane, source].
    """

    tone_hz: np.ndarray
    tone_rad: np.ndarray
    tone_pa: np.ndarray
    beat_hz: np.ndarray
    beat_rad: np.ndarray
    beat_depth: np.ndarray

    @classmethod
    def unpack(cls, userdata: np.ndarray, num_sources: int, num_tones: int) -> Sounds:
        """Return views of what `draw_sound` wrote, one sound after the other, at the start of `userdata` [lane, n]."""
        flat = userdata[:, : sound_size(num_sources, num_tones)].reshape(len(userdata), num_sources, -1)
        tones = flat[:, :, :-_SCALARS].reshape(len(userdata), num_sources, 3, num_tones)
        return cls(*(tones[:, :, i] for i in range(3)), *(flat[:, :, i - _SCALARS] for i in range(_SCALARS)))


def sound_size(num_sources: int, num_tones: int) -> int:
    """Return how many numbers describe the sounds of a lane."""
    return num_sources * (3 * num_tones + _SCALARS)


def draw_sound(
    generator: np.random.Generator, band_hz: tuple[float, float], level_pa: float, num_tones: int
) -> np.ndarray:
    """Return one source's numbers [3 * num_tones + 3]: tones in a band, with a beat of 0.3 to 1 Hz.

    Args:
        generator: draws frequencies, phases, relative loudness of the tones, and the beat.
        band_hz: lowest and highest frequency.
        level_pa: effective (root mean square) pressure at 1 m without the beat; 0 is silence.
        num_tones: number of tones.
    """
    tone_hz = generator.uniform(*band_hz, num_tones)
    tone_rad = generator.uniform(0.0, _TWO_PI, num_tones)
    relative = generator.uniform(0.5, 1.0, num_tones)
    tone_pa = level_pa * np.sqrt(2.0) * relative / np.linalg.norm(relative)
    beat = generator.uniform((0.3, 0.0, 0.2), (1.0, _TWO_PI, 0.6))
    return np.concatenate([tone_hz, tone_rad, tone_pa, beat])


def emitted(sounds: Sounds, time_s: np.ndarray) -> np.ndarray:
    """Return the pressure in Pa at 1 m in front of the sources [lane, source, row] at times `time_s` [row]."""
    phase = _TWO_PI * sounds.tone_hz[..., None] * time_s + sounds.tone_rad[..., None]
    beat = sounds.beat_depth[..., None] * np.sin(
        _TWO_PI * sounds.beat_hz[..., None] * time_s + sounds.beat_rad[..., None]
    )
    return (1.0 + beat) * (sounds.tone_pa[..., None] * np.sin(phase)).sum(axis=2)


def add_microphones(spec: mujoco.MjSpec, sites: tuple[str, ...], window_s: float, latency_s: float) -> None:
    """Add what `Microphones` needs: poses of the sites at the knots of a reading, kept by the engine.

    Args:
        spec: the model's specification.
        sites: names of the microphones' sites, whose z axes say where the microphones look.
        window_s: time that one observation covers, the control period.
        latency_s: age of the newest sample.

    Raises:
        ValueError: knots that do not fall on timesteps, or a latency of less than one.
    """
    timestep_s = spec.option.timestep
    period_s = window_s / (NUM_KNOTS - 1)
    steps = np.array([period_s, latency_s]) / timestep_s
    if (np.abs(steps - np.round(steps)) > 1e-6).any() or steps[1] < 0.5:
        raise ValueError(
            f"got a window of {window_s} s and a latency of {latency_s} s, expected the latency and 1/{NUM_KNOTS - 1} "
            f"of the window to be multiples of the timestep {timestep_s} s"
        )
    for kind, suffix in ((mujoco.mjtSensor.mjSENS_FRAMEPOS, "pos"), (mujoco.mjtSensor.mjSENS_FRAMEZAXIS, "axis")):
        for site in sites:
            sensor = spec.add_sensor(name=f"{site}_{suffix}", type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
            sensor.nsample = NUM_KNOTS
            # Due a quarter of a timestep before a substep's start, so that rounding cannot move it (`set_rate`).
            sensor.interval = [period_s, -(latency_s % period_s) - 0.25 * timestep_s]


@dataclass(frozen=True)
class Microphones:
    """The source of a `Computed` sensor of shape (rows, microphone), for a model prepared by `add_microphones`.

    Attributes:
        sites: microphones.
        sources: mocap bodies that emit sound, in the order of their sounds in `userdata`.
        num_tones: tones of each source.
        obstacles: mocap bodies of one box each that weaken sound.
        directivity: a of the pattern 1 - a + a * cos(angle): 0 hears all sides alike, 0.5 is a cardioid.
    """

    sites: tuple[str, ...]
    sources: tuple[str, ...]
    num_tones: int
    obstacles: tuple[str, ...] = ()
    directivity: float = 0.3

    def __call__(self, batch: Batch, sensor: Sensor) -> Reader:
        """Return the reader of `sensor`."""
        return _MicrophoneReader(self, batch, sensor)


class _MicrophoneReader:
    """Axes: lane, ear, source, tone, knot or row.

    Between knots, phases and gains are linear in time: for the phase this is a Doppler shift that is constant there.
    """

    def __init__(self, microphones: Microphones, batch: Batch, sensor: Sensor) -> None:
        self._directivity = microphones.directivity
        self._history = NativeHistory(batch, [f"{s}_{x}" for x in ("pos", "axis") for s in microphones.sites])
        self._mocaps = [int(batch.model.body(name).mocapid[0]) for name in microphones.sources]
        self._places = batch.bind("mocap_pos")
        self._sounds = Sounds.unpack(batch.bind("userdata"), len(self._mocaps), microphones.num_tones)
        self._sight = LineOfSight(batch, microphones.obstacles)
        self._time_s = batch.bind("time")
        rows = sensor.shape[0]
        row_s = -sensor.latency_s - np.arange(rows - 1, -1, -1) / sensor.rate_hz  # from now on
        self._row_s, self._age_s = row_s, np.tile(-row_s.astype(np.float32), (batch.nsim, 1))
        self._knot_s = np.linspace(-sensor.latency_s - rows / sensor.rate_hz, -sensor.latency_s, NUM_KNOTS)
        weights = [np.interp(row_s, self._knot_s, knot) for knot in np.eye(NUM_KNOTS)]
        self._weights = np.stack(weights).astype(np.float32)  # [knot, row]

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        position, axis = self._ears()
        place = self._places[:, None, self._mocaps, None]
        offset = place - position[:, :, None]
        distance = np.sqrt(np.einsum("lesku,lesku->lesk", offset, offset))
        facing = np.einsum("lesku,leku->lesk", offset, axis) / np.maximum(distance, 1e-6)
        heard_s = self._knot_s - distance / SPEED_OF_SOUND
        gain = (1.0 + self._directivity * (facing - 1.0)) / np.maximum(distance, NEAREST_M) * self._beat(heard_s)
        values = self._mix(self._phases(heard_s), self._loudness(gain, self._is_clear(position, offset)))
        valid = self._time_s[:, None] + self._row_s >= -1e-9
        return Reading(values, self._age_s.copy(), valid.astype(np.int8))

    def _ears(self) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and axes [lane, ear, knot, 3]; a knot before the episode repeats the episode's first."""
        times_s, poses = self._history.read()
        poses = poses.reshape(*times_s.shape, 2, -1, 3).transpose(2, 0, 3, 1, 4)
        for knot in range(NUM_KNOTS - 2, -1, -1):
            missing = times_s[:, knot] < 0.0
            if missing.any():
                poses[:, missing, :, knot] = poses[:, missing, :, knot + 1]
        return poses[0], poses[1]

    def _is_clear(self, position: np.ndarray, offset: np.ndarray) -> np.ndarray:
        lines = (len(offset), -1, 3)
        start = np.broadcast_to(position[:, :, None], offset.shape).reshape(lines)
        return self._sight.is_clear(start, offset.reshape(lines)).reshape(offset.shape[:-1])

    def _beat(self, heard_s: np.ndarray) -> np.ndarray:
        """Return the factor [lane, ear, source, knot] by which the beat changes a source's loudness."""
        sounds, time_s = self._sounds, self._time_s[:, None, None, None] + heard_s
        hz, rad, depth = (x[:, None, :, None] for x in (sounds.beat_hz, sounds.beat_rad, sounds.beat_depth))
        return 1.0 + depth * np.sin(_TWO_PI * hz * time_s + rad)

    def _phases(self, heard_s: np.ndarray) -> np.ndarray:
        """Return phases [lane, ear, source, tone, knot], whole turns removed so that single precision does."""
        sounds = self._sounds
        now = _TWO_PI * np.mod(sounds.tone_hz * self._time_s[:, None, None], 1.0) + sounds.tone_rad
        return _TWO_PI * sounds.tone_hz[:, None, :, :, None] * heard_s[:, :, :, None] + now[:, None, :, :, None]

    def _loudness(self, gain: np.ndarray, is_clear: np.ndarray) -> np.ndarray:
        """Return amplitudes in Pa [lane, ear, source, tone, knot]."""
        sounds = self._sounds
        muffled = (sounds.tone_pa * barrier_gain(sounds.tone_hz))[:, None, :, :, None]
        tones = np.where(is_clear[:, :, :, None], sounds.tone_pa[:, None, :, :, None], muffled)
        return tones * gain[:, :, :, None]

    def _mix(self, phases: np.ndarray, loudness: np.ndarray) -> np.ndarray:
        """Return the sum over sources and tones [lane, row, ear] float32."""
        lanes, ears = phases.shape[:2]
        waves = phases.astype(np.float32).reshape(-1, NUM_KNOTS) @ self._weights
        np.sin(waves, out=waves)
        at_knots = loudness.astype(np.float32).reshape(lanes, ears, -1, NUM_KNOTS).swapaxes(2, 3)
        sums = at_knots @ waves.reshape(lanes, ears, -1, waves.shape[1])  # [lane, ear, knot, row]
        sums *= self._weights
        return sums.sum(axis=2).swapaxes(1, 2)


def barrier_gain(frequency_hz: np.ndarray) -> np.ndarray:
    """Return the pressure behind a barrier over the free one: 1 / sqrt(3 + 20 N), N = 2 * detour / wavelength.

    Source: Z. Maekawa, Noise reduction by screens (1968), in the form 10 log10(3 + 20 N) dB; the detour is a constant.
    """
    return 1.0 / np.sqrt(3.0 + 20.0 * 2.0 * DETOUR_M * frequency_hz / SPEED_OF_SOUND)
