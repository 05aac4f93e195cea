"""What every robot's model starts from: units, integrator, ground and light."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence

import mujoco

from embodied_envs.rendering.view import GROUND_GROUP

__all__ = ["add_ground", "add_light", "add_touch_site", "new_spec"]

SENSOR_SITE_GROUP = 4  # not drawn


def new_spec(timestep_s: float) -> mujoco.MjSpec:
    """Return an empty specification in radians with the implicit-fast integrator."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return spec


def add_ground(
    spec: mujoco.MjSpec, half_size_m: tuple[float, float] = (0.0, 12.0), friction: float = 0.9, priority: int = 1
) -> mujoco.MjsGeom:
    """Add the plane z = 0 with a checker of half-metre cells, named `ground`, in geom group 1.

    Args:
        spec: the model's specification.
        half_size_m: half sizes in x and y of what is drawn, 0 = endless. Contact knows no edge. Endless in both costs
            ten times the drawing time.
        friction: sliding friction.
        priority: 1: the ground's friction alone decides contacts with it, so one number is the friction of a lane.
    """
    spec.add_texture(
        name="ground", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.16, 0.20, 0.16], rgb2=[0.55, 0.60, 0.50], width=64, height=64,
    )  # fmt: skip
    # One texture repeat is two by two cells: one repeat per metre gives cells of half a metre.
    material = spec.add_material(name="ground", texrepeat=[2, 2], texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "ground"
    return spec.worldbody.add_geom(
        name="ground", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[*half_size_m, 1], material="ground", priority=priority,
        friction=[friction, 0.005, 0.0001], group=GROUND_GROUP,
    )  # fmt: skip


def add_light(spec: mujoco.MjSpec, towards: Sequence[float] = (0.3, 0.6, -1.0)) -> None:
    """Add one directional light named `sun`."""
    spec.worldbody.add_light(
        name="sun", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0, 0, 4], dir=list(towards),
        diffuse=[0.6, 0.6, 0.6],
    )  # fmt: skip


def add_touch_site(spec: mujoco.MjSpec, name: str, substeps: int) -> None:
    """Add a touch sensor on the site `name` that keeps one sample per substep of a control period (`HistoryMean`)."""
    sensor = spec.add_sensor(
        name=name, type=mujoco.mjtSensor.mjSENS_TOUCH, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=name
    )
    sensor.nsample = substeps
