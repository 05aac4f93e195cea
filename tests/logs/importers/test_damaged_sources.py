"""Random damage to sources of every layout: one clear line or a whole import, never another exception."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hdf5_samples import minari, ragged, robomimic
from lerobot_samples import write_v2, write_v3

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogWriter
from embodied_ssl.logs.importers import IMPORTERS

pytest.importorskip("h5py")
pytest.importorskip("pyarrow")
pytest.importorskip("av")


class Sink:
    """Takes rows and keeps nothing: what is tested is how reading fails."""

    def append(self, *rows: Any, **more: Any) -> None:
        pass

    def begin_episode(self, *when: Any, **facts: Any) -> None:
        pass

    def end_episode(self, *when: Any, **facts: Any) -> None:
        pass


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip a few bits, cut the end off, or overwrite a stretch."""
    changed, kind = bytearray(data), rng.integers(3)
    if kind == 0:
        for _ in range(int(rng.integers(1, 4))):
            changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del changed[rng.integers(len(changed)) :]
    else:
        start = int(rng.integers(len(changed)))
        length = min(len(changed) - start, int(rng.integers(1, 20)))
        changed[start : start + length] = rng.bytes(length)
    return bytes(changed)


def import_to_nowhere(name: str, source: Path, options: dict[str, Any]) -> None:
    make: Callable[..., Any] = IMPORTERS[name]
    importer = make(source, **options)
    assert importer.facts()
    assert importer.streams()
    assert importer.total()
    importer.write(cast(LogWriter, Sink()), lambda _: None)


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("lerobot", write_v2, {}),
        ("lerobot", write_v3, {}),
        ("hdf5", robomimic, {}),
        ("hdf5", minari, {"fps": 10}),
        ("hdf5", ragged, {"mapping": "clips/take_{episode}", "time_axis": -1, "fps": 10}),
    ],
)
def test_damage_ends_in_one_line(tmp_path: Path, name: str, write: Callable, options: dict[str, Any]) -> None:
    rng, source = np.random.default_rng(0), tmp_path / "source"
    write(source)
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    import_to_nowhere(name, source, options)
    refusals: list[str] = []
    for _ in range(30):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, rng))
        try:
            import_to_nowhere(name, source, options)
        except LogError as error:
            refusals.append(str(error))
        file.write_bytes(whole)
    assert len(refusals) >= 5
    assert all(len(refusal.splitlines()) == 1 for refusal in refusals)
    import_to_nowhere(name, source, options)
