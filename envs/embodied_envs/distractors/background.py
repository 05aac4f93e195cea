"""Videos behind everything that cameras see."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.videos import NUM_FRAMES, VideoBank
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Sensor

__all__ = ["Background"]

NUM_VIDEOS = {"easy": 4, "medium": 8, "hard": 32}


class Background(Distractor):
    """Puts a synthetic video where nothing was drawn; each episode takes one of the bank, from a frame of its own.

    It plays one frame a control period, forwards and backwards. The bank holds 4, 8 or 32 videos. The ground stays as
    it is (the suite's alpha of 1 for walker and cheetah): a moving robot sees it pass. `ground="cover"` lets the video
    cover it too (the suite's alpha of 0), for cameras that see little else.

    Source: Distracting Control Suite (Stone et al. 2021, arXiv:2101.02722), section on background. Deviation:
    synthetic videos instead of DAVIS 2017, so the hardest bank has 32 of them instead of 60.
    """

    name = "background"

    def __init__(self, difficulty: str = "easy", seed: int = 0, ground: str = "keep") -> None:
        """Choose the bank.

        Args:
            difficulty: how many videos there are.
            seed: of the bank; environments of different seeds share no video.
            ground: keep or cover.

        Raises:
            ValueError: another word for `ground`.
        """
        if ground not in ("keep", "cover"):
            raise ValueError(f"got background ground={ground!r}, expected 'keep' or 'cover'")
        self.covers_ground = ground == "cover"
        self._bank = VideoBank(seed, NUM_VIDEOS[difficulty])

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Prepare one playing position per lane."""
        self._video, self._tick = np.zeros(batch.nsim, np.int64), np.zeros(batch.nsim, np.int64)
        self.nuisance = (
            Privileged("background_video", "1", "nuisance", lambda batch, clean: self._video[:, None]),
            Privileged("background_frame", "1", "nuisance", lambda batch, clean: self._frame()[:, None]),
        )

    def _frame(self) -> np.ndarray:
        """Return which frame is shown [lane]: 0, 1, ..., last, last - 1, ..., 0, ..."""
        position = self._tick % (2 * NUM_FRAMES - 2)
        return np.minimum(position, 2 * NUM_FRAMES - 2 - position)

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Choose video and first frame."""
        for lane in np.flatnonzero(lanes).tolist():
            self._video[lane] = generators[lane].integers(self._bank.num_videos)
            self._tick[lane] = generators[lane].integers(NUM_FRAMES)

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Play on."""
        self._tick += lanes

    def paint(self, frames: np.ndarray, background: np.ndarray, lanes: np.ndarray, camera: str) -> None:
        """Put the video where nothing was drawn."""
        shown = self._frame()
        for picture, empty, lane in zip(frames, background, lanes.tolist(), strict=True):
            frame = self._bank.frame(int(self._video[lane]), int(shown[lane]), *picture.shape[:2])
            np.copyto(picture, frame, where=empty[:, :, None])

    def get_state(self) -> dict[str, Any]:
        """Return what plays where."""
        return {"video": self._video.copy(), "tick": self._tick.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._video[...] = state["video"]
        self._tick[...] = state["tick"]
