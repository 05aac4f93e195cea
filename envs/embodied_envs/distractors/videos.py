"""A bank of synthetic videos: plasma, a moving checker, drifting blobs; each from a seed, at any resolution.

Videos are made and kept with at most 128 pixels a side (2.4 MB each) and enlarged when shown: soft as they are, larger
pictures lose little.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["NUM_FRAMES", "VideoBank"]

NUM_FRAMES = 48
_NUM_WAVES = 12
_NUM_BLOBS = 8
_MOST_PX = 128


class VideoBank:
    """Videos made when first asked for, and kept."""

    def __init__(self, seed: int, num_videos: int) -> None:
        """Make nothing yet; another seed gives other videos."""
        self.num_videos = num_videos
        self._seeds = np.random.SeedSequence(seed).spawn(num_videos)
        self._videos: dict[tuple[int, int, int], np.ndarray] = {}

    def frame(self, index: int, number: int, height: int, width: int) -> np.ndarray:
        """Return one frame uint8 [height, width, 3] of a video; kinds take turns in the bank."""
        shrink = min(1.0, _MOST_PX / max(height, width))
        small = self._video(index, max(1, round(shrink * height)), max(1, round(shrink * width)))[number]
        return small if shrink == 1.0 else _enlarged(small, height, width)

    def _video(self, index: int, height: int, width: int) -> np.ndarray:
        """Return a video uint8 [frame, height, width, 3]."""
        key = (index, height, width)
        if key not in self._videos:
            make = _MAKERS[index % len(_MAKERS)]
            frames = make(np.random.default_rng(self._seeds[index]), height, width)
            self._videos[key] = np.round(255.0 * np.clip(frames, 0.0, 1.0)).astype(np.uint8)
        return self._videos[key]


def _enlarged(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture uint8 [height, width, 3], interpolated linearly."""
    rows, columns = _weights(picture.shape[0], height), _weights(picture.shape[1], width)
    wide = columns @ picture.astype(np.float32)  # [row, width, 3]
    return np.round(np.tensordot(rows, wide, 1)).astype(np.uint8)


@lru_cache(maxsize=8)
def _weights(num_pixels: int, size: int) -> np.ndarray:
    """Return what each of `num_pixels` gives to each of `size` pixels over the same length [size, num_pixels]."""
    places = np.clip((np.arange(size) + 0.5) * num_pixels / size - 0.5, 0.0, num_pixels - 1.0)
    apart = np.abs(places[:, None] - np.arange(num_pixels))
    return np.maximum(1.0 - apart, 0.0).astype(np.float32)


def _pixels(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y [height, width] in units of the picture's height, from its upper left corner."""
    return np.meshgrid((np.arange(width) + 0.5) / height, (np.arange(height) + 0.5) / height)


def _times() -> np.ndarray:
    """Return the time of each frame [frame, 1, 1], the whole video lasting 1."""
    return (np.arange(NUM_FRAMES) / NUM_FRAMES)[:, None, None]


def _plasma(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return clouds [frame, height, width, 3]: waves of random directions, the finer the fainter, drifting apart."""
    x, y = _pixels(height, width)
    frames = np.zeros((NUM_FRAMES, height, width, 3))
    for _ in range(_NUM_WAVES):
        per_height, direction = 2.0 ** generator.uniform(-0.5, 3.0), generator.uniform(0.0, 2.0 * np.pi)
        along = per_height * (np.cos(direction) * x + np.sin(direction) * y)
        turns = along + generator.uniform(-1.5, 1.5) * _times()
        phase = generator.uniform(0.0, 1.0, 3)
        frames += np.sin(2.0 * np.pi * (turns[..., None] + phase)) / np.sqrt(per_height)
    return 0.5 + 0.5 * frames / (2.0 * frames.std())


def _checker(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return two colours [frame, height, width, 3] in squares that slide and turn."""
    x, y = _pixels(height, width)
    cell, angle = generator.uniform(0.1, 0.3), generator.uniform(0.0, 2.0 * np.pi)
    turning, sliding = generator.uniform(-0.5, 0.5), generator.uniform(-1.0, 1.0, 2)
    heading = angle + turning * _times()
    u = np.cos(heading) * x + np.sin(heading) * y + sliding[0] * _times()
    v = np.cos(heading) * y - np.sin(heading) * x + sliding[1] * _times()
    odd = (np.floor(u / cell) + np.floor(v / cell)) % 2.0
    colours = generator.uniform(0.0, 1.0, (2, 3))
    return colours[odd.astype(np.intp)]


def _blobs(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return soft spots [frame, height, width, 3] that drift over a plain colour; they leave on one side, come back."""
    x, y = _pixels(height, width)
    extent = width / height
    frames = np.broadcast_to(generator.uniform(0.0, 0.6, 3), (NUM_FRAMES, height, width, 3)).copy()
    for _ in range(_NUM_BLOBS):
        start, drift = generator.uniform(0.0, 1.0, 2), generator.uniform(-1.0, 1.0, 2)
        radius, colour = generator.uniform(0.06, 0.2), generator.uniform(0.0, 1.0, 3)
        centre = (start + drift * _times()[:, 0]) % 1.0 * np.array([1.4 * extent, 1.4]) - 0.2
        square = (x - centre[:, 0, None, None]) ** 2 + (y - centre[:, 1, None, None]) ** 2
        cover = np.exp(-0.5 * square / radius**2)[..., None]
        frames += cover * (colour - frames)
    return frames


_MAKERS = (_plasma, _checker, _blobs)
