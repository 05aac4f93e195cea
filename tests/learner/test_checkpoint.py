"""Checkpoints are whole or refused by name."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import SafetensorError

from embodied_ssl.errors import CheckpointError
from embodied_ssl.learner import checkpoint
from embodied_ssl.learner.checkpoint import list_checkpoints, newest_good, read_checkpoint, write_checkpoint

PARTS = {
    "first": ({"weight": torch.arange(12.0).view(3, 4).T, "empty": torch.zeros(0)}, {"rng": {"state": 2**127 + 1}}),
    "second": ({"flag": torch.tensor(True)}, {"names": ["a", "b"]}),
}
FACTS = {"updates": 10, "share": 0.1 + 0.2}


def written(folder):
    write_checkpoint(folder, PARTS, FACTS)
    return folder


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_what_is_written_is_read_back_exactly(tmp_path):
    parts, facts = read_checkpoint(written(tmp_path / "10"))
    assert facts == FACTS
    for name, (tensors, about) in PARTS.items():
        assert parts[name][1] == about
        assert all(torch.equal(parts[name][0][key], value) for key, value in tensors.items())
    assert [p.name for p in tmp_path.iterdir()] == ["10"]


@pytest.mark.parametrize("name", ["first.safetensors", "second.safetensors", "manifest.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_in_any_file_is_refused_by_name(tmp_path, name, share):
    path = written(tmp_path / "10") / name
    content = path.read_bytes()
    position = int(share * len(content))
    while name == "manifest.json" and content[position] in b" \n":  # layout says nothing: take the next letter
        position -= 1
    flip(path, position)
    with pytest.raises(CheckpointError, match=name) as error:
        read_checkpoint(tmp_path / "10")
    assert "\n" not in str(error.value)


def test_no_flipped_bit_of_the_manifest_goes_unseen(tmp_path):
    path = written(tmp_path / "10") / "manifest.json"
    whole = path.read_bytes()
    meant = json.loads(whole)
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            read_checkpoint(tmp_path / "10")
        except CheckpointError:
            continue
        assert json.loads(path.read_bytes()) == meant  # white space only


@pytest.mark.parametrize("name", ["first.safetensors", "manifest.json"])
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    (written(tmp_path / "10") / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        read_checkpoint(tmp_path / "10")


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    written(tmp_path / "10")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 99"):
        read_checkpoint(tmp_path / "10")


def test_a_manifest_cannot_name_files_elsewhere(tmp_path):
    folder = written(tmp_path / "10")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {"../secret": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)


def test_the_newest_good_one_is_found_past_damaged_ones(tmp_path):
    for number in (8, 9, 10, 11):
        written(tmp_path / f"{number}")
    flip(tmp_path / "11" / "first.safetensors", 40)
    (tmp_path / "10" / "manifest.json").unlink()
    (tmp_path / ".12.tmp").mkdir()
    found, refused = newest_good(tmp_path)
    assert found.name == "9"
    assert ["first.safetensors" in refused[0], "manifest.json" in refused[1]] == [True, True]


def test_no_good_checkpoint_names_the_reasons(tmp_path):
    with pytest.raises(CheckpointError, match="none was written yet"):
        newest_good(tmp_path)
    flip(written(tmp_path / "7") / "second.safetensors", 3)
    with pytest.raises(CheckpointError, match=r"second\.safetensors"):
        newest_good(tmp_path)


def test_foreign_folders_are_not_checkpoints(tmp_path):
    written(tmp_path / "7")
    (tmp_path / "7 (copy)").mkdir()
    (tmp_path / "8.txt").write_text("notes")
    assert [p.name for p in list_checkpoints(tmp_path)] == ["7"]


@pytest.mark.parametrize("failing", ["save_file", "sync_file", "file_hash"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("IoError: No space left")])
def test_a_full_disk_leaves_nothing_under_the_name(tmp_path, monkeypatch, failing, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(checkpoint, failing, fail)
    with pytest.raises(CheckpointError, match="No space left"):
        written(tmp_path / "10")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert read_checkpoint(written(tmp_path / "10"))[1] == FACTS


def test_a_failed_rewrite_keeps_the_old_one(tmp_path, monkeypatch):
    written(tmp_path / "10")
    monkeypatch.setattr(checkpoint, "save_file", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(CheckpointError):
        written(tmp_path / "10")
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "10")[1] == FACTS
