from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hdf5_samples import ragged
from imported import import_log, read_schema

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.hdf5 import Hdf5Importer

h5py = pytest.importorskip("h5py")


@pytest.mark.parametrize(("value", "dtype"), [(255.0, "uint8"), (0.25, "float32")])
def test_integer_images_stored_as_floats(tmp_path: Path, value: float, dtype: str) -> None:
    images = np.zeros((9, 8, 8, 3), np.float32)
    images[8, 0, 0, 0] = value
    with h5py.File(tmp_path / "i.h5", "w") as file:
        file["ep_0/image"], file["ep_1/image"] = np.ones_like(images), images
    log, report = import_log(tmp_path / "i.h5", "hdf5", tmp_path, mapping="ep_{episode}", fps=10)
    np.testing.assert_array_equal(log.read("image", 9).data, images)
    assert log.streams["image"].sensor.dtype == dtype
    assert ("cast to uint8" in report.notes[0]) == (dtype == "uint8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mapping": "clips/take"}, "expected {episode} once"),
        ({"mapping": "../{episode}"}, "expected {episode} once"),
        ({"mapping": "clip/{episode}"}, "no group fits 'clip/{episode}'; it holds clips"),
        ({"mapping": "clips/{episode}"}, "give it with option fps"),
        ({"mapping": {"j": {"dataset": "clips/{episode}/body/joint"}}, "fps": 1}, "did you mean 'body/joints'"),
        ({"mapping": {"j": {"data": "clips/{episode}/x"}}}, "expected dataset"),
        ({"mapping": {"j": {"dataset": "clips/{episode}/x", "axis": 1}}}, "did you mean 'time_axis'"),
        ({"mapping": {"j": {"dataset": "clips/{episode}/x", "role": "sense"}}}, "did you mean 'sensor'"),
        ({"mapping": {"j": "clips/{episode}"}}, "expected a path below {episode}"),
        ({"mapping": {"j": "clips/{episode}/body/joints", "k": "{episode}/x"}}, "these differ: clips/{episode}, {ep"),
        ({"mapping": "clips/{episode}", "time_axis": 2, "fps": 1}, "no axis 2 for time"),
        ({"mapping": "clips/{episode}", "time_axis": 0, "fps": 1}, "one stream has one kind of row"),
        ({"mapping": "clips/{episode}", "time_axis": -1, "fps": 1, "roles": {"forc": "other"}}, "did you mean 'force'"),
        ({"layout": "robomimik"}, "did you mean 'robomimic'"),
        ({"layout": "mapping"}, "give a mapping"),
        ({"layout": "minari", "mapping": "{episode}"}, "layout mapping"),
        ({"mapping": "{episode}.yaml"}, "cannot be read"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(LogError, match=re.escape(message)):
        read_schema(ragged(tmp_path / "r.h5"), "hdf5", **options)


def _external_link(file, outside: Path) -> None:
    file["ep_0/x"] = h5py.ExternalLink(str(outside), "/x")


def _external_storage(file, outside: Path) -> None:
    file.create_dataset("ep_0/x", (4, 2), "f4", external=[(str(outside), 0, 32)])


def _virtual(file, outside: Path) -> None:
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[:] = h5py.VirtualSource(str(outside), "x", (4, 2))
    file.create_virtual_dataset("ep_0/x", layout)


def _never_written(file, outside: Path) -> None:
    file.create_dataset("ep_0/x", (1 << 40, 4), "f8")


def _hole(file, outside: Path) -> None:
    file.create_dataset("ep_0/x", (100, 4), "f8", chunks=(10, 4))[:50] = 1


def _absurd_chunk(file, outside: Path) -> None:
    file.create_dataset("ep_0/x", (1 << 20, 1 << 10), "f4", chunks=(1 << 20, 1 << 9), compression="gzip")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_external_link, "x is a link to another file"),
        (_external_storage, "its data is in other files"),
        (_virtual, "its data is in other files"),
        (_never_written, "declares 35,184,372,088,832 bytes of data, the file holds 0"),
        (_hole, "declares 10 chunks of data, the file holds 5"),
        (_absurd_chunk, "chunks of 2,147,483,648 bytes, expected at most"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, write, message: str) -> None:
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["x"] = np.zeros((4, 2), np.float32)
    with h5py.File(tmp_path / "h.h5", "w") as file:
        write(file, outside)
    with pytest.raises(LogError, match=message):
        read_schema(tmp_path / "h.h5", "hdf5", mapping="ep_{episode}", fps=10)


def test_a_group_that_holds_itself_is_met_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "loop.h5", "w") as file:
        file["ep_0/x"] = np.zeros((4, 2))
        file["ep_0/again"] = file["ep_0"]
    assert read_schema(tmp_path / "loop.h5", "hdf5", mapping="ep_{episode}", fps=10) == ["x"]


def test_cut_files_and_pointers_are_named(tmp_path: Path) -> None:
    whole = ragged(tmp_path / "r.h5").read_bytes()
    for share in range(1, 10):
        (tmp_path / "cut.h5").write_bytes(whole[: len(whole) * share // 10])
        with pytest.raises(LogError, match=r"cut\.h5: is no readable HDF5 file"):
            read_schema(tmp_path / "cut.h5", "hdf5", mapping="clips/take_{episode}", time_axis=-1, fps=10)
    (tmp_path / "p.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(LogError, match="is a Git LFS pointer, not the data; run git lfs pull"):
        Hdf5Importer(tmp_path / "p.h5", fps=10).streams()


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ragged(tmp_path / "r.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(LogError, match=r"fix: pip install 'embodied-ssl\[hdf5\]'"):
        Hdf5Importer(source, fps=10).streams()


def test_a_pattern_that_the_command_line_read_as_yaml(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one/x"] = np.zeros((4, 2))
    assert read_schema(tmp_path / "a.h5", "hdf5", mapping={"episode": None}, fps=10) == ["x"]
