"""The suite's models, read from the files of the installed `dm_control` package, which is never imported."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import importlib.util
from pathlib import Path

import mujoco

__all__ = ["read_domain"]


def read_domain(domain: str) -> mujoco.MjSpec:
    """Return the specification of one domain of the suite, for example `cheetah`.

    Importing dm_control fails under MuJoCo 4; its model files do not. They include others by relative paths, which the
    compiler resolves from where the file lies.

    Raises:
        ModuleNotFoundError: the package is not installed, or has no such file.
    """
    path = _suite_folder() / f"{domain}.xml"
    if not path.is_file():
        raise ModuleNotFoundError(
            f"got a dm_control without {domain}.xml; fix: pip install --force-reinstall 'embodied-ssl[dmc]'",
            name="dm_control",
        )
    return mujoco.MjSpec.from_file(str(path))


def _suite_folder() -> Path:
    found = importlib.util.find_spec("dm_control")
    folders = found.submodule_search_locations if found is not None else None
    if not folders:
        raise ModuleNotFoundError(
            "the control suite's models come from the package dm_control; fix: pip install 'embodied-ssl[dmc]'",
            name="dm_control",
        )
    return Path(next(iter(folders))) / "suite"
