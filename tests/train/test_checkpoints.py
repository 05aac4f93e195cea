"""Killed at any moment, a run has a good checkpoint; damage is refused by name; and checkpoints stay small."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import CAMERA, TINY, robots_of

from embodied_ssl.buffer import segments
from embodied_ssl.cli import main
from embodied_ssl.errors import CheckpointError, RunError
from embodied_ssl.learner import checkpoint
from embodied_ssl.learner.checkpoint import list_checkpoints, newest_good, read_checkpoint, write_checkpoint
from embodied_ssl.learner.saved import load
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import session as session_module
from embodied_ssl.train import train
from embodied_ssl.train.session import Session


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    config = dataclasses.replace(TINY, runs_dir=str(tmp_path_factory.mktemp("runs")), env_steps=640)
    run = RunFolder.create(config)
    train(config, run)
    return run


@pytest.fixture
def run(finished, tmp_path) -> RunFolder:
    """A copy of a finished run, to be damaged."""
    return RunFolder(Path(shutil.copytree(finished.path, tmp_path / "run")))


def flip_a_byte(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)


def newest_segment(run: RunFolder) -> Path:
    """Return the segment that only the newest checkpoint names."""
    parts, _ = read_checkpoint(list_checkpoints(run.checkpoints_dir)[-1])
    return run.segments_dir / parts["buffer"][1]["segments"][-1]["file"]


def resume_notes(run: RunFolder) -> list[str]:
    session = Session.build(run.config, run)
    try:
        return session.resume()
    finally:
        session.source.close()


@pytest.mark.parametrize("name", ["learner", "pilot", "health", "stream", "buffer", "env", "manifest", "segment"])
@pytest.mark.parametrize("place", [0.02, 0.61])
def test_a_flipped_byte_is_refused_by_name_and_the_checkpoint_before_is_taken(run, name, place):
    before, newest = list_checkpoints(run.checkpoints_dir)[-2:]
    path = newest / ("manifest.json" if name == "manifest" else f"{name}.safetensors")
    path = newest_segment(run) if name == "segment" else path
    flip_a_byte(path, place)
    refusal, resumed = resume_notes(run)
    assert f"{path} is damaged" in refusal
    assert f"resumed from {before}" in resumed
    assert list_checkpoints(run.checkpoints_dir)[-1] == before


def test_a_checkpoint_whose_buffer_is_of_an_older_version_ends_in_one_clear_line(run, capsys):
    for folder in list_checkpoints(run.checkpoints_dir):
        parts, facts = read_checkpoint(folder)
        tables, named = parts["buffer"]
        old = {f"old.{name}": value for name, value in tables.items()}
        parts["buffer"] = (old, {"segments": named["segments"]})
        write_checkpoint(folder, parts, facts)
    with pytest.raises(CheckpointError, match="has format 1, this version reads 2: the run cannot be resumed"):
        resume_notes(run)
    assert main(["train", "--resume", str(run.path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_file_too(run):
    newest = list_checkpoints(run.checkpoints_dir)[-1]
    (newest / "pilot.safetensors").unlink()
    assert f"{newest / 'pilot.safetensors'} is missing" in resume_notes(run)[0]


def test_the_command_says_which_checkpoint_it_refused_and_goes_on(run, capsys):
    newest = list_checkpoints(run.checkpoints_dir)[-1]
    flip_a_byte(newest / "learner.safetensors", 0.5)
    assert main(["train", "--resume", str(run.path), "--env_steps", "680"]) == 0
    assert f"{newest / 'learner.safetensors'} is damaged" in capsys.readouterr().err
    assert run.summary()["env_steps"] == 680
    assert len(resume_notes(run)) == 1


def test_a_damaged_only_checkpoint_is_one_line(run, capsys):
    for folder in list_checkpoints(run.checkpoints_dir)[:-1]:
        shutil.rmtree(folder)
    path = list_checkpoints(run.checkpoints_dir)[-1] / "env.safetensors"
    flip_a_byte(path, 0.5)
    for words in (["train", "--resume", str(run.path)], ["evaluate", str(run.path)]):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert f"{path} is damaged" in err
    assert run.config.env_steps == 640


def test_bad_checkpoints_never_push_out_good_ones(run):
    """With one checkpoint kept, a newer refused one must not be the one that is kept."""
    flip_a_byte(list_checkpoints(run.checkpoints_dir)[-1] / "learner.safetensors", 0.5)
    config = dataclasses.replace(run.config, keep_checkpoints=1)
    session = Session.build(config, run)
    session.resume()
    session.save()
    session.source.close()
    newest_good(run.checkpoints_dir)


def test_checkpoints_stay_small_however_much_the_buffer_holds(tiny):
    sizes, segment_bytes = {}, {}
    for name, settings in {"vectors": {}, "frames": {"env": CAMERA}}.items():
        config = tiny(name=name, env_steps=640, checkpoint_every=4, keep_checkpoints=9, **settings)
        run = RunFolder.create(config)
        train(config, run)
        folders = list_checkpoints(run.checkpoints_dir)
        sizes[name] = [(folder / "buffer.safetensors").stat().st_size for folder in folders]
        segment_bytes[name] = sum(path.stat().st_size for path in run.segments_dir.iterdir())
        whole = [sum(path.stat().st_size for path in folder.iterdir()) for folder in folders[2:]]
        assert max(whole) < 1.01 * min(whole)
    assert segment_bytes["frames"] > 4 * segment_bytes["vectors"]
    assert len(set(sizes["vectors"])) == 1
    assert sizes["frames"][-1] < sizes["vectors"][-1] + 2048
    assert max(sizes["frames"]) < segment_bytes["frames"] / 20


class KilledError(BaseException):
    """Stands for SIGKILL: nothing that catches errors sees it."""


class Killer:
    """Counts the steps of a save that touch the disk, and dies at one of them; half-way through a removal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 10**9
        for module in (checkpoint, segments):
            for name in ("save_file", "sync_file"):
                monkeypatch.setattr(module, name, self._watched(getattr(module, name)))
        for name in ("replace", "unlink"):
            monkeypatch.setattr(Path, name, self._watched(getattr(Path, name)))
        remove = shutil.rmtree

        def half(path: Path, **options: Any) -> None:
            files = sorted(Path(path).glob("*")) if self.left == 1 else []
            for file in files[: len(files) // 2]:
                file.unlink()
            self._step()
            remove(path, **options)

        monkeypatch.setattr(shutil, "rmtree", half)

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KilledError

    def _watched(self, call):
        def watched(*args, **options):
            self._step()
            return call(*args, **options)

        return watched


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("same_name", [False, True])
def test_a_kill_at_any_step_of_a_save_leaves_a_good_checkpoint(run, monkeypatch, keep, same_name):
    """With ``same_name`` a stopped run is saved again before its next update: the name is taken already."""
    config = dataclasses.replace(run.config, keep_checkpoints=keep)
    session = Session.build(config, run)
    session.resume()
    session.save()  # drops all but `keep`
    still = np.zeros((config.env.num_lanes, session.learner.spec.action_size), np.float32)
    killer, die_at = Killer(monkeypatch), 0
    robots = robots_of(session)
    for die_at in range(1, 200):
        robots.stream.observe(still, *robots.env.step(still))
        session.learner.num_updates += not same_name
        killer.left = die_at
        try:
            session.save()
        except KilledError:
            killer.left = 10**9
            newest_good(run.checkpoints_dir, lambda m: session.segments.verify(m["parts"]["buffer"]["segments"]))
        else:
            break
    assert die_at > 20
    killer.left = 10**9
    assert not [path.name for path in run.checkpoints_dir.iterdir() if path.name.startswith(".")]
    session.source.close()
    assert len(resume_notes(run)) == 1


def test_the_encoder_of_a_run_can_be_loaded_from_its_folder(run):
    learner = load(run.path)
    parts, facts = read_checkpoint(list_checkpoints(run.checkpoints_dir)[-1])
    assert learner.num_updates == facts["updates"]
    assert learner.num_lanes == run.config.env.num_lanes
    for name, weight in learner.snapshot.weights.items():
        assert (weight == parts["learner"][0][f"snapshot.{name}"]).all()
    with pytest.raises(CheckpointError, match="load the run's folder"):
        load(list_checkpoints(run.checkpoints_dir)[-1])


def test_resume_uses_the_recorded_back_end_or_says_that_it_cannot(tmp_path, monkeypatch):
    config = dataclasses.replace(TINY, runs_dir=str(tmp_path), env_steps=320, env=CAMERA)
    run = RunFolder.create(config)
    train(config, run)
    assert session_module.recorded_backend(run) == "ray"
    # What the config asks for does not matter on resume: the recorded back end is used again, or refused.
    free = dataclasses.replace(config, env=dataclasses.replace(CAMERA, kwargs={"episode_ticks": 60}))
    session = Session.build(free, run, resume=True)
    session.source.close()
    assert robots_of(session).env.metadata["camera_backend"] == "ray"
    monkeypatch.setattr(session_module, "recorded_backend", lambda run: "no such back end")
    with pytest.raises(RunError, match="no such back end"):
        Session.build(free, run, resume=True)
