"""Colours and light of ray-cast frames, with the lanes' own where they have them."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.rendering.ground import find_ground

__all__ = ["RayPaint"]

SKY = np.array([0.0, 0.0, 0.0], np.float32)
LIGHT = np.array([-0.25, -0.50, 0.83], np.float32)  # unit vector towards the light
UP = np.array([0.0, 0.0, 1.0], np.float32)
AMBIENT = 0.45
_UNPAINTED = np.array([0.5, 0.5, 0.5, 1.0])  # MuJoCo: a geom of any other colour ignores its material's


class RayPaint:
    """Lambert shading: ambient light and one directional light, the model's first if lanes have lights of their own."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Look up materials, colours and the ground's geom."""
        self._model = model
        self.ground_geom = find_ground(model)
        self._own: dict[str, np.ndarray] = {}
        self._shared_colours: np.ndarray | None = None

    def attach(self, batch: Batch) -> None:
        """Look up what the lanes have of their own now; comes before the other methods."""
        names = ("geom_rgba", "mat_rgba", "light_dir", "light_diffuse")
        self._own = {name: values for name in names if (values := batch.expanded(name)) is not None and values.size}
        self._shared_colours = None
        if not {"geom_rgba", "mat_rgba"} & self._own.keys():
            self._shared_colours = self._colours(np.zeros(1, np.intp))[0]

    def _values(self, name: str, lanes: np.ndarray) -> np.ndarray:
        """Return a model field as [lane, ...]; one row stands for all lanes where they share it."""
        own = self._own.get(name)
        return getattr(self._model, name)[None] if own is None else own[lanes]

    def _colours(self, lanes: np.ndarray) -> np.ndarray:
        """Return 0..255 colours [lane, geom + 1, 3] float32; the last, which a miss (-1) gets, is the sky's."""
        rgba = np.array(np.broadcast_to(self._values("geom_rgba", lanes), (len(lanes), self._model.ngeom, 4)))
        clad = np.flatnonzero(self._model.geom_matid >= 0)
        if clad.size:
            material = self._values("mat_rgba", lanes)[:, self._model.geom_matid[clad]]
            plain = (rgba[:, clad] == _UNPAINTED).all(axis=2, keepdims=True)
            rgba[:, clad] = np.where(plain, material, rgba[:, clad])
        sky = np.broadcast_to(SKY, (len(lanes), 1, 3))
        return np.concatenate([255.0 * rgba[:, :, :3].astype(np.float32), sky], axis=1)

    def shade(self, lanes: np.ndarray, geom: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Return shaded colours [lane, ray, 3] float32 of the geoms [lane, ray] hit; misses show the sky."""
        facing = np.maximum(_towards(normal.astype(np.float32), self._light(lanes)), 0.0)[:, :, None]
        lit = AMBIENT + (1.0 - AMBIENT) * self._brightness(lanes) * facing
        if self._shared_colours is not None:
            return self._shared_colours[geom] * lit
        return self._colours(lanes)[np.arange(len(lanes))[:, None], geom] * lit

    @property
    def may_glare(self) -> bool:
        """Whether colours may exceed 255: a lane's light can be stronger than the model's."""
        return "light_diffuse" in self._own or "mat_rgba" in self._own

    def ground_tint(self, lanes: np.ndarray) -> np.ndarray | None:
        """Return what the ground's colour is multiplied by [lane, 3]; None: by nothing, all lanes share it."""
        if not self._own:
            return None
        facing = np.maximum(self._light(lanes) @ UP, 0.0)[:, None]
        lit = AMBIENT + (1.0 - AMBIENT) * self._brightness(lanes)[:, 0] * facing
        plain = AMBIENT + (1.0 - AMBIENT) * float(self._light_of_model() @ UP)
        tint = (lit / plain).astype(np.float32) * self._ground_colour_ratio(lanes)
        return np.broadcast_to(tint, (len(lanes), 3))

    def _ground_colour_ratio(self, lanes: np.ndarray) -> np.ndarray:
        material = self._model.geom_matid[self.ground_geom]
        if material < 0 or "mat_rgba" not in self._own:
            return np.ones((1, 3), np.float32)
        return (self._own["mat_rgba"][lanes, material] / np.maximum(self._model.mat_rgba[material], 1e-6))[:, :3]

    def _light(self, lanes: np.ndarray) -> np.ndarray:
        """Return the unit vectors towards the light [lane or 1, 3]."""
        if "light_dir" not in self._own:
            return LIGHT[None]
        return -_unit(self._own["light_dir"][lanes, 0]).astype(np.float32)

    def _light_of_model(self) -> np.ndarray:
        return -_unit(self._model.light_dir[0]).astype(np.float32) if "light_dir" in self._own else LIGHT

    def _brightness(self, lanes: np.ndarray) -> np.ndarray:
        """Return the light's strength relative to the model's own: [lane, 1, 3], or [1, 1, 1] if lanes share it."""
        if "light_diffuse" not in self._own:
            return np.ones((1, 1, 1), np.float32)
        nominal = np.maximum(self._model.light_diffuse[0], 1e-6)
        return (self._own["light_diffuse"][lanes, 0] / nominal)[:, None, :].astype(np.float32)


def _towards(normal: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return the cosines [lane, ray] between normals [lane, ray, 3] and the light [lane or 1, 3]."""
    return normal @ light[0] if len(light) == 1 else (normal @ light[:, :, None])[:, :, 0]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
