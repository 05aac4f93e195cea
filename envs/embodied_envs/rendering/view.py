"""What a renderer is asked for, and what it returns."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from mujoco.batch import Batch

__all__ = ["GROUND_GROUP", "MAX_DRAWN_GROUP", "Frames", "Renderer", "View"]

GROUND_GROUP = 1  # by convention the geom group of the ground, the plane z = 0
MAX_DRAWN_GROUP = 2  # as MuJoCo's default: geoms in groups 3 to 5 are there for physics only


@dataclass(frozen=True)
class View:
    """One picture of one model camera.

    Attributes:
        camera: the camera's name in the model.
        kind: rgb, depth or segmentation, see `sensors.Camera`.
        height: pixels.
        width: pixels.
    """

    camera: str
    kind: str
    height: int
    width: int


@dataclass(frozen=True)
class Frames:
    """One view of several lanes.

    Attributes:
        values: rgb uint8 [lane, height, width, 3]; depth float32 [lane, height, width, 1], metres along the optical
            axis, infinite where nothing is; segmentation uint8 [lane, height, width, 1], body number.
        background: bool [lane, height, width], where nothing was drawn; None if it was not asked for, or not RGB.
    """

    values: np.ndarray
    background: np.ndarray | None = None


class Renderer(Protocol):
    """Draws the views it was made for, of chosen lanes, with the lanes' own appearance."""

    def render(
        self, batch: Batch, lanes: np.ndarray, views: Sequence[View], with_background: bool = False
    ) -> list[Frames]:
        """Return one `Frames` per view of the lanes' present positions.

        Args:
            batch: the simulation.
            lanes: lane numbers [n].
            views: which of its views to draw.
            with_background: whether RGB views come with the mask of what was not drawn.
        """
        ...

    def close(self) -> None:
        """Free graphics resources; may be called twice."""
        ...
