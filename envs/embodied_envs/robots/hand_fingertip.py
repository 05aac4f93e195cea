"""The skin of a round fingertip: taxels on the inner side of a capsule and over its dome, where fingers touch most."""

from __future__ import annotations

import numpy as np

from embodied_envs.tactile import Taxels

__all__ = ["domed_taxels"]

DOME_RAD = 1.35  # how far up the dome the skin reaches; at its very top the columns would meet
AROUND_RAD = 1.4  # to either side: nearly all of the inner half, as fingers that sweep push with their flanks


def domed_taxels(shape: tuple[int, int], length_m: float, radius_m: float, bare_m: float) -> Taxels:
    """Return the skin of a capsule from (0, 0, 0) to (length, 0, 0), its middle at z = radius.

    Args:
        shape: rows, evenly spaced along the skin towards the tip, and columns around it.
        length_m: length of the capsule's straight part.
        radius_m: its radius.
        bare_m: length next to the joint that has no skin.
    """
    straight_m = length_m - bare_m
    along_m = (straight_m + DOME_RAD * radius_m) * (np.arange(shape[0]) + 0.5) / shape[0]
    climb = np.maximum(along_m - straight_m, 0.0) / radius_m  # angle up the dome
    around = AROUND_RAD * ((2.0 * np.arange(shape[1]) + 1.0) / shape[1] - 1.0)
    climb, around = np.meshgrid(climb, around, indexing="ij")
    side, up = np.sin(around), np.cos(around)
    normals = np.stack([np.sin(climb), np.cos(climb) * side, np.cos(climb) * up], axis=-1)
    along = np.stack([np.cos(climb), -np.sin(climb) * side, -np.sin(climb) * up], axis=-1)
    positions = radius_m * normals
    positions[..., 0] += bare_m + np.minimum(along_m, straight_m)[:, None]
    return Taxels(positions, normals, along)
