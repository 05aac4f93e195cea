"""What a batch is made of, as a config says."""

from __future__ import annotations

from embodied_ssl.buffer.sampling.keep_least_redundant import KeepLeastRedundant
from embodied_ssl.buffer.sampling.keep_random import KeepRandom
from embodied_ssl.buffer.sampling.recent import Recent
from embodied_ssl.buffer.sampling.reservoir import Reservoir
from embodied_ssl.buffer.sampling.two_tier import WindowSource
from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.config import SamplingConfig


def window_source(config: SamplingConfig, buffer: StreamBuffer, shape: WindowShape) -> WindowSource:
    """Build sampler and memory over the windows of ``shape`` of ``buffer``.

    Raises:
        BufferFullError: the memory's segments do not fit beside the ring, or its memory cannot be had.
    """
    if config.half_life_ticks:
        sampler = Recent(buffer, shape, config.half_life_ticks, config.uniform_share)
    else:
        sampler = Uniform(buffer, shape)
    reservoir = None
    if config.kept_segments:
        keeper = {"random": KeepRandom, "least_redundant": KeepLeastRedundant}[config.keep](config.kept_segments)
        reservoir = Reservoir(
            buffer, shape, config.kept_segments, config.segment_ticks, keeper, guard_ticks=buffer.guard_ticks
        )
    return WindowSource(sampler, config.distinct_episodes, reservoir, config.kept_share)
