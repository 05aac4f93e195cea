"""Checkpoints: a folder of safetensors files and a JSON manifest with a SHA-256 per file.

Written aside, synced and renamed, so a name that exists is whole. No pickle is read or written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from embodied_ssl.buffer.segments import file_hash, sync_file
from embodied_ssl.errors import CheckpointError

FORMAT = 1
Part = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Tensors and JSON-able facts of one component."""


def write_checkpoint(folder: Path, parts: Mapping[str, Part], facts: Mapping[str, Any]) -> None:
    """Write ``parts`` to ``folder``, which must not exist yet.

    Args:
        folder: ``checkpoints/<update>``.
        parts: per component its tensors and facts.
        facts: JSON of the whole checkpoint, kept under ``"facts"`` in the manifest.

    Raises:
        CheckpointError: the disk refuses; nothing half-written is left under the final name.
    """
    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        hashes = {}
        for name, (tensors, _) in parts.items():
            path = aside / f"{name}.safetensors"
            save_file({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, path)
            sync_file(path)
            hashes[path.name] = file_hash(path)
        manifest = {
            "format": FORMAT,
            "files": hashes,
            "parts": {name: part_facts for name, (_, part_facts) in parts.items()},
            "facts": facts,
        }
        text = json.dumps({"sha256": _own_hash(manifest), **manifest}, indent=1, allow_nan=False)
        (aside / "manifest.json").write_text(text)
        sync_file(aside / "manifest.json")
        sync_file(aside)
        _put(aside, folder)
    except (OSError, ValueError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise CheckpointError(f"cannot write {folder}: {error}") from error


def _own_hash(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a manifest says, layout left out: a flipped byte in it must be seen too."""
    return hashlib.sha256(json.dumps(manifest, allow_nan=False).encode()).hexdigest()


def _put(aside: Path, folder: Path) -> None:
    """Rename ``aside`` to ``folder``; one of that name is moved off first, so that a kill never leaves neither."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    aside.replace(folder)
    sync_file(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint after checking every file's hash.

    Raises:
        CheckpointError: a file is missing, damaged, or of another format; the message names it.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        digest, files, version = manifest.pop("sha256"), manifest["files"], manifest["format"]
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; {folder} is no checkpoint") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); use another checkpoint") from error
    if version != FORMAT:
        raise CheckpointError(f"{path} has format {version}, this version reads {FORMAT}")
    if _own_hash(manifest) != digest:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one it holds; use another checkpoint")
    for name, digest in files.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing; use another checkpoint")
        if file_hash(folder / name) != digest:
            raise CheckpointError(f"{folder / name} is damaged: its SHA-256 is not the one in the manifest")
    return manifest


def read_checkpoint(folder: Path) -> tuple[dict[str, Part], dict[str, Any]]:
    """Return parts and facts of a verified checkpoint.

    Raises:
        CheckpointError: see `read_manifest`.
    """
    manifest = read_manifest(folder)
    if {f"{name}.safetensors" for name in manifest["parts"]} != set(manifest["files"]):
        raise CheckpointError(f"{folder / 'manifest.json'} names other parts than files; use another checkpoint")
    parts: dict[str, Part] = {
        name: (load_file(folder / f"{name}.safetensors"), facts) for name, facts in manifest["parts"].items()
    }
    return parts, manifest["facts"]


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder``, oldest first."""
    return sorted((p for p in folder.glob("[0-9]*") if p.name.isdecimal() and p.is_dir()), key=lambda p: int(p.name))


def newest_good(folder: Path, check: Callable[[dict[str, Any]], object] | None = None) -> tuple[Path, list[str]]:
    """Return the newest checkpoint that verifies, and one line for every newer one that was refused.

    Args:
        folder: ``checkpoints``.
        check: called with each manifest; refuses what lies elsewhere, such as segments, by a CheckpointError.

    Raises:
        CheckpointError: there is none; the reasons are named.
    """
    _restore_moved(folder)
    refused: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            manifest = read_manifest(path)
            if check is not None:
                check(manifest)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            return path, refused
    raise CheckpointError(f"no good checkpoint in {folder}; " + ("; ".join(refused) or "none was written yet"))


def drop_old(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest ``keep`` checkpoints; return those kept."""
    kept = list_checkpoints(folder)[-keep:]
    left_by_a_kill = [*folder.glob(".*.tmp"), *folder.glob(".*.old")]
    for path in [*list_checkpoints(folder)[:-keep], *left_by_a_kill]:
        shutil.rmtree(path)
    return kept


def drop_newer(checkpoint: Path) -> None:
    """Delete the checkpoints after ``checkpoint``: the run goes on from there, and they were refused."""
    for path in list_checkpoints(checkpoint.parent):
        if int(path.name) > int(checkpoint.name):
            shutil.rmtree(path)


def _restore_moved(folder: Path) -> None:
    """Give checkpoints that `_put` had moved off when it was killed their names back."""
    for old in folder.glob(".*.old"):
        name = folder / old.name.removeprefix(".").removesuffix(".old")
        if not name.exists():
            old.replace(name)
