"""Where a model keeps its payload, its friction and the strength of its motors."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied_envs.nearest import nearest

__all__ = ["PARTS", "Part", "find_part"]

PAYLOAD = "payload"  # by convention the name of the body whose mass a robot varies


@dataclass(frozen=True)
class Part:
    """Elements of model fields that are multiplied together.

    Attributes:
        fields: field -> index into one lane's values of that field.
        derived: whether constants are derived from them (`set_const`).
    """

    fields: dict[str, tuple]
    derived: bool = False


def _payload(model: mujoco.MjModel, name: str | None) -> Part:
    names = [model.body(i).name for i in range(1, model.nbody)]
    wanted = PAYLOAD if name is None else name
    if wanted not in names:
        raise ValueError(f"shift 'payload': the robot has no body {wanted!r}; fix: part=..., {nearest(wanted, names)}")
    body = model.body(wanted).id
    return Part({"body_mass": ([body],), "body_inertia": ([body],)}, derived=True)


def _friction(model: mujoco.MjModel, name: str | None) -> Part:
    """Sliding friction of every geom that collides, or of one: whichever of a pair decides, the contact's is scaled."""
    names = [model.geom(i).name for i in range(model.ngeom)]
    if name is not None and name not in names:
        raise ValueError(f"shift 'friction': the robot has no geom {name!r}; {nearest(name, filter(None, names))}")
    colliding = np.flatnonzero((model.geom_contype != 0) | (model.geom_conaffinity != 0))
    if not colliding.size:
        raise ValueError("shift 'friction': nothing of the robot collides, expected at least one geom that does")
    return Part({"geom_friction": (colliding if name is None else [model.geom(name).id], 0)})


def _motor(model: mujoco.MjModel, name: str | None) -> Part:
    """Gain and bias: a position servo becomes weaker and softer, its target stays."""
    names = [model.actuator(i).name for i in range(model.nu)]
    if name is not None and name not in names:
        raise ValueError(f"shift 'motor': the robot has no actuator {name!r}; {nearest(name, names)}")
    if not names:
        raise ValueError("shift 'motor': the robot has no actuator, expected at least one")
    rows = list(range(model.nu)) if name is None else [model.actuator(name).id]
    return Part({"actuator_gainprm": (rows,), "actuator_biasprm": (rows,)})


_FINDERS = {"payload": _payload, "friction": _friction, "motor": _motor}

PARTS = {
    "payload": ("body_mass", "body_inertia"),
    "friction": ("geom_friction",),
    "motor": ("actuator_gainprm", "actuator_biasprm"),
}
"""What may shift -> the model fields that it writes."""


def find_part(model: mujoco.MjModel, what: str, name: str | None) -> Part:
    """Return which elements of the model belong to `what`.

    Args:
        model: the compiled model.
        what: one of `PARTS`.
        name: of the body, geom or actuator; None: the body `payload`, all colliding geoms, all actuators.

    Raises:
        ValueError: the robot has no such part.
    """
    return _FINDERS[what](model, name)
