"""Start states that several tasks share."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["draw_until_free", "random_joints"]

MAX_DRAWS = 1000


def random_joints(model: mujoco.MjModel, generator: np.random.Generator) -> np.ndarray:
    """Return positions [nq]: limited joints uniform in their range, free hinges in [-pi, pi), free slides at 0.

    For models whose joints are hinges and slides only.
    """
    low, high = model.jnt_range.T.copy()
    unlimited = model.jnt_limited == 0
    turn = np.where(model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE, np.pi, 0.0)[unlimited]
    low[unlimited], high[unlimited] = -turn, turn
    return generator.uniform(low, high)


def draw_until_free(batch: Batch, lane: int, draw: Callable[[], np.ndarray]) -> None:
    """Write drawn positions [nq] to a lane until no two geoms touch in it.

    Raises:
        RuntimeError: a thousand draws all touched, so the model cannot be the one the draw was made for.
    """
    qpos, num_contacts = batch.bind("qpos"), batch.bind("ncon")
    for _ in range(MAX_DRAWS):
        qpos[lane] = draw()
        batch.forward([lane], stage=mujoco.mjtStage.mjSTAGE_POS)
        if num_contacts[lane] == 0:
            return
    raise RuntimeError(f"got {MAX_DRAWS} start states in contact, expected a free one among them")
