"""A missing extra ends in one line that names it."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.logs.exporters import EXPORTERS
from embodied_ssl.logs.importers import IMPORTERS
from embodied_ssl.spec import SensorSpec

IMPORTS = {
    "mcap": ("a.mcap", b"\x89MCAP0\r\n", ("mcap",), "mcap"),
    "ulog": ("a.ulg", b"ULog\x01\x12\x35\x01" + bytes(8), ("pyulog",), "ulog"),
    "rosbag": ("a.bag", b"#ROSBAG V2.0\n" + struct.pack("<II", 0, 0), ("rosbags",), "ros"),
}
EXPORTS = {
    "mcap": (("mcap", "mcap.writer"), "mcap"),
    "rerun": (("rerun",), "rerun"),
    "lerobot": (("pyarrow", "pyarrow.parquet"), "lerobot"),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_importers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, content, modules, extra = IMPORTS[name]
    (tmp_path / file).write_bytes(content)
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LogError, match=rf"pip install 'embodied-ssl\[{extra}\]'"):
        IMPORTERS[name](tmp_path / file).streams()
    assert IMPORTERS[name].recognises(tmp_path / file)


@pytest.mark.parametrize("name", EXPORTS)
def test_exporters(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules, extra = EXPORTS[name]
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with StreamLog.create(tmp_path / "a.zarr", [LogStream(SensorSpec("x", "vector", (1,)))], fsync=False) as writer:
        writer.append("x", np.zeros((1, 1), np.float32), np.array([1]))
    exporter: Any = EXPORTERS[name]()
    with pytest.raises(LogError, match=rf"pip install 'embodied-ssl\[{extra}\]'"):
        exporter.write(StreamLog.open(tmp_path / "a.zarr"), tmp_path / "out", lambda units: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]
