"""How packets become ticks: what people can set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from embodied_ssl.errors import LogError
from embodied_ssl.sources.alignment_packets import ScreenSettings
from embodied_ssl.sources.alignment_spec import ActionBounds
from embodied_ssl.sources.sensor_faults import FaultLimits
from embodied_ssl.spec import StreamSpec

MIN_CONTROL_HZ = 0.001
"""Slowest rate of ticks: the grid is an exact fraction of a denominator that is not too large."""


@dataclass(frozen=True)
class AlignmentSettings:
    """How packets become ticks.

    Attributes:
        methods: ``latest``, ``window``, ``nearest`` or ``linear``, by sensor or one for all; None: as `choose_methods`.
        sensors: names of the sensors to align; None: all of role ``sensor``.
        max_gap_s: a longer silence of all sensors, or of an essential one, cuts the ticks; None: 0.5 s, but at least
            5 ticks and 3 nominal periods of the fastest sensor.
        max_age_s: a row older than this at its tick is not shown, by sensor or one for all; None: the largest gap, but
            at least 3 nominal periods of the sensor.
        reorder_s: a packet captured before an earlier one by more than this is a jump of the clock; None: as the
            largest gap.
        essential: sensors without which there are no ticks.
        faults: limits by sensor.
        action_bounds: what becomes -1 and 1; None: actions must lie in [-1, 1] already and are clipped.
        phase: where in a tick the first arrival of a segment lies, as a share of the tick, so that a source with the
            control's own rate and some jitter still gives one row a tick.
    """

    methods: Mapping[str, str] | str | None = None
    sensors: Sequence[str] | None = None
    max_gap_s: float | None = None
    max_age_s: Mapping[str, float] | float | None = None
    reorder_s: float | None = None
    essential: Sequence[str] = ()
    faults: Mapping[str, FaultLimits] = field(default_factory=dict)
    action_bounds: ActionBounds | None = None
    phase: float = 0.25


def screen_settings(spec: StreamSpec, settings: AlignmentSettings) -> ScreenSettings:
    """Return the settings in nanoseconds, with defaults filled in.

    Raises:
        LogError: they contradict each other or the control rate.
    """
    if spec.control_hz < MIN_CONTROL_HZ:
        raise LogError(f"control_hz is {spec.control_hz:g}, expected at least {MIN_CONTROL_HZ:g} ticks a second")
    fastest_hz = max(sensor.rate_hz for sensor in spec.sensors)
    gap_s = settings.max_gap_s
    gap_s = max(0.5, 5 * spec.tick_s, 3 / fastest_hz) if gap_s is None else gap_s
    tick_ns, max_gap_ns = round(1e9 / spec.control_hz), round(gap_s * 1e9)
    reorder_ns = max_gap_ns if settings.reorder_s is None else round(settings.reorder_s * 1e9)
    if max_gap_ns < tick_ns:
        raise LogError(f"max_gap_s is {gap_s}, expected at least one tick ({spec.tick_s:g} s); raise --log.max_gap_s")
    if not 0 <= reorder_ns <= max_gap_ns:
        raise LogError(f"reorder_s is {settings.reorder_s}, expected 0 to max_gap_s ({gap_s:g})")
    if not 0 <= settings.phase < 1:
        raise LogError(f"phase is {settings.phase}, expected a share of a tick, 0 or more and below 1")
    return ScreenSettings(tick_ns, max_gap_ns, reorder_ns)
