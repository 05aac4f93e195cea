"""Tactile images: a skin of taxels on a fingertip, read by the engine's own `tactile` sensor.

A skin is a mesh without mass or collision whose vertices are the taxels. Wherever another geom touches the *body* that
carries the skin, the engine gives, for each taxel inside that geom, its depth and the two sliding speeds along the
skin. An image has one row and column per taxel and three channels:

    0  depth of the indentation, mm (0: no contact)
    1  speed at which the surface slides along the skin's first axis (down the image's rows), cm/s, without sign
    2  the same along the second axis (along the image's columns)

What to mind:

* Stiff contacts indent less than the taxels resolve: collide a soft geom (`SOFT_PAD` as its solref, priority 1). The
  engine scales a contact's stiffness with the masses that it moves, so the same force indents deeper on a light object.
* The taxels belong on that geom's surface or up to a millimetre below it; outside, they would feel what does not touch.
* The touching geoms must be primitives: meshes are felt only with a signed distance field of their own.
* The engine's builtin plate is not used: it reports sliding across and *into* the skin instead of the two directions
  along it, as it orders its normals otherwise than the sensor reads them (MuJoCo 4.0).
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import mujoco
import numpy as np

from embodied_envs.native_timing import set_rate
from embodied_envs.robots.parts import SENSOR_SITE_GROUP
from embodied_envs.sensors import HistoryRows, Sensor

__all__ = [
    "SOFT_PAD",
    "TACTILE_DELAY_S",
    "Taxels",
    "add_tactile_skin",
    "flat_taxels",
    "round_taxels",
    "tactile_images",
    "tactile_sensor",
]

SOFT_PAD = (-2000.0, -60.0)
"""solref of a soft fingertip: -stiffness, -damping, per unit of constraint mass; indents 0.5 to 2 mm under a grip."""
TACTILE_DELAY_S = 0.030  # exposure, transfer and image processing
MAX_DEPTH_MM = 10.0  # also 10 cm/s: sliding faster than that saturates
_SCALE = np.array([1e3, 1e2, 1e2], np.float32)  # m -> mm, m/s -> cm/s


@dataclass(frozen=True)
class Taxels:
    """Where a skin's taxels lie, in the frame of the body that carries it.

    Attributes:
        positions_m: [rows, columns, 3].
        normals: outward unit normals [rows, columns, 3].
        along: unit vectors of the skin's first axis, orthogonal to the normals, [rows, columns, 3].
    """

    positions_m: np.ndarray
    normals: np.ndarray
    along: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Return the image's rows and columns."""
        return self.positions_m.shape[0], self.positions_m.shape[1]

    def moved(self, origin_m: tuple[float, float, float], axes: np.ndarray) -> Taxels:
        """Return the same skin elsewhere on the body.

        Args:
            origin_m: where the skin's origin goes.
            axes: rotation [3, 3] whose columns are the skin's first axis, second axis and normal in the body's frame.
        """
        turn = np.asarray(axes, float).T
        return Taxels(self.positions_m @ turn + np.asarray(origin_m), self.normals @ turn, self.along @ turn)


def flat_taxels(shape: tuple[int, int], half_size_m: tuple[float, float]) -> Taxels:
    """Return a flat skin in the plane z = 0, normal +z, first axis x, second axis y.

    Args:
        shape: rows (along x) and columns (along y) of taxels, at least 2 each.
        half_size_m: half the extent in x and y; the taxels lie at the centres of a grid of cells over it.
    """
    x, y = (half * _cell_centres(count) for half, count in zip(half_size_m, shape, strict=True))
    positions = np.stack([*np.meshgrid(x, y, indexing="ij"), np.zeros(shape)], axis=-1)
    return Taxels(positions, _constant(shape, (0, 0, 1)), _constant(shape, (1, 0, 0)))


def round_taxels(shape: tuple[int, int], half_length_m: float, radius_m: float, half_angle_rad: float) -> Taxels:
    """Return a skin bent around the x axis, as on a capsule along x: its middle at z = radius, normal +z there.

    Args:
        shape: rows (along x) and columns (around x) of taxels, at least 2 each.
        half_length_m: half the extent along x.
        radius_m: radius of the cylinder.
        half_angle_rad: half the angle that the skin covers, less than a right angle.
    """
    x, angle = half_length_m * _cell_centres(shape[0]), half_angle_rad * _cell_centres(shape[1])
    x, angle = np.meshgrid(x, angle, indexing="ij")
    normals = np.stack([np.zeros(shape), np.sin(angle), np.cos(angle)], axis=-1)
    positions = radius_m * normals
    positions[..., 0] = x
    return Taxels(positions, normals, _constant(shape, (1, 0, 0)))


def _cell_centres(count: int) -> np.ndarray:
    """Return the centres of `count` equal cells between -1 and 1."""
    return (2.0 * np.arange(count) + 1.0) / count - 1.0


def _constant(shape: tuple[int, int], vector: tuple[float, float, float]) -> np.ndarray:
    return np.broadcast_to(np.array(vector, float), (*shape, 3))


def add_tactile_skin(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, taxels: Taxels, rate_hz: float, control_hz: float
) -> None:
    """Put a skin on a body: mesh, geom and engine sensor are all called `name`. It is felt, never seen.

    Args:
        spec: the model's specification, its timestep set.
        body: the fingertip; one of its other geoms has to collide.
        name: name of the engine sensor.
        taxels: the skin.
        rate_hz: images per second.
        control_hz: observations per second.
    """
    _add_mesh(spec, name, taxels)
    body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, contype=0, conaffinity=0, mass=0.0,
        rgba=[0, 0, 0, 0], group=SENSOR_SITE_GROUP,
    )  # fmt: skip
    sensor = spec.add_sensor(
        name=name, type=mujoco.mjtSensor.mjSENS_TACTILE, objtype=mujoco.mjtObj.mjOBJ_MESH, objname=name,
        reftype=mujoco.mjtObj.mjOBJ_GEOM, refname=name,
    )  # fmt: skip
    set_rate(sensor, rate_hz, control_hz, spec.option.timestep, TACTILE_DELAY_S)


def _add_mesh(spec: mujoco.MjSpec, name: str, taxels: Taxels) -> None:
    """Add the mesh: one vertex per taxel; three normals each, of which the sensor slides along the last two."""
    mesh = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    across = np.cross(taxels.normals, taxels.along)
    corners = np.arange(taxels.normals[..., 0].size).reshape(taxels.shape)
    a, b, c, d = corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]
    triangles = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    mesh.uservert = taxels.positions_m.ravel().tolist()
    mesh.usernormal = np.stack([taxels.normals, taxels.along, across], axis=2).ravel().tolist()
    mesh.userface = triangles.ravel().tolist()
    mesh.userfacenormal = (3 * triangles).ravel().tolist()


def tactile_sensor(
    key: str, engine_sensor: str, shape: tuple[int, int], rate_hz: float, control_hz: float
) -> Sensor:  # fmt: skip
    """Return the manifest of a skin as an optical fingertip delivers it.

    Camera-based fingertips resolve some hundredths of a millimetre, run at tens of frames per second and are a frame
    late; marker flow gives sliding with a similar relative error.

    Args:
        key: observation key.
        engine_sensor: the `name` given to `add_tactile_skin`.
        shape: rows and columns of taxels.
        rate_hz: images per second, as given to `add_tactile_skin`.
        control_hz: observations per second; an image has a leading axis of rows only if the skin is faster.
    """
    images = max(1, math.ceil(rate_hz / control_hz - 1e-9))
    rows = (images,) if rate_hz > control_hz else ()
    return Sensor(
        key, "tactile", "mm, cm/s, cm/s", rate_hz, (*rows, *shape, 3), noise_std=0.02, low=0.0, high=MAX_DEPTH_MM,
        source=HistoryRows((engine_sensor,), arrange=partial(tactile_images, shape)),
        latency_s=TACTILE_DELAY_S, bias_std=0.01, dropout=0.002,
    )  # fmt: skip


def tactile_images(shape: tuple[int, int], samples: np.ndarray) -> np.ndarray:
    """Return images [lane, row, rows, columns, 3] in mm and cm/s from samples [lane, row, 3 * taxels] in m and m/s."""
    planes = samples.reshape(*samples.shape[:2], 3, *shape)
    return np.moveaxis(planes, 2, -1) * _SCALE
