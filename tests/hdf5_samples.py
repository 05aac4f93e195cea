"""Small HDF5 files after published layouts, and ragged ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def ragged(path: Path, lengths: tuple[int, ...] = (5, 9), time_axis: int = -1) -> Path:
    """Clips of different lengths, out of order in the file, one without a force."""
    import h5py

    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number, length in reversed(list(enumerate(lengths))):
            clip = file.create_group(f"clips/take_{number}")
            joints = rng.standard_normal((length, 4))
            clip["body/joints"] = joints.T if time_axis == -1 else joints
            clip["note"] = "a text"
            if number:
                clip["force"] = rng.standard_normal(length).astype(np.float32)
    return path


def robomimic(path: Path, rate: float | None = 20.0) -> dict[str, dict[str, np.ndarray]]:
    """Write a file after robomimic's published structure; return what is in it."""
    import h5py

    rng, demos = np.random.default_rng(1), {}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        args = {"env_name": "Lift", "env_type": 1, "env_kwargs": {"control_freq": rate} if rate else {}}
        data.attrs["env_args"], data.attrs["total"] = json.dumps(args), 24
        for number, length in ((0, 7), (2, 5), (10, 12)):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"], demo.attrs["model_file"] = length, "<mujoco/>"
            rows = {
                "obs/robot0_eef_pos": rng.standard_normal((length, 3)),
                "obs/agentview_image": rng.integers(0, 256, (length, 12, 10, 3)).astype(np.uint8),
                "actions": rng.uniform(-1, 1, (length, 7)),
                "rewards": rng.standard_normal(length),
                "dones": (np.arange(length) == length - 1) * (number != 2),
                "states": rng.standard_normal((length, 32)),
            }
            for name, values in {**rows, "next_obs/robot0_eef_pos": rows["obs/robot0_eef_pos"]}.items():
                demo.create_dataset(name, data=values, chunks=(4, *values.shape[1:]), compression="gzip")
            demos[f"demo_{number}"] = rows
        file["mask/train"] = np.array([b"demo_0", b"demo_10"])
        file["mask/valid"] = np.array([b"demo_2"])
    return demos


def minari(path: Path) -> dict[int, dict[str, np.ndarray]]:
    """Write a file after Minari's published standard; return what is in it."""
    import h5py

    rng, episodes = np.random.default_rng(2), {}
    with h5py.File(path, "w") as file:
        for number, (steps, terminated, truncated) in enumerate([(4, True, False), (6, False, True), (3, True, True)]):
            group = file.create_group(f"episode_{number}")
            group.attrs.update({"id": number, "seed": 7, "total_steps": steps})
            last = np.arange(steps) == steps - 1
            rows = {
                "observations/position": rng.standard_normal((steps + 1, 2)),
                "observations/goal": rng.standard_normal((steps + 1, 3)).astype(np.float32),
                "actions": rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
                "rewards": rng.standard_normal(steps),
                "terminations": last & terminated,
                "truncations": last & truncated,
                "infos/qpos": rng.standard_normal((steps + 1, 5)),
                "infos/success": rng.integers(0, 2, steps).astype(bool),
            }
            for name, values in rows.items():
                group[name] = values
            group["infos/text"] = np.array([b"x"] * steps)
            episodes[number] = rows
    return episodes
