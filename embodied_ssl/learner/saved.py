"""Learners from folders: those that `OnlineLearner.save` wrote, and runs."""

from __future__ import annotations

from pathlib import Path

from embodied_ssl.config import Config
from embodied_ssl.config_schema import build
from embodied_ssl.errors import CheckpointError
from embodied_ssl.learner.checkpoint import newest_good, read_checkpoint
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.spec import StreamSpec


def load(folder: Path | str, num_lanes: int | None = None) -> OnlineLearner:
    """Return the learner saved in ``folder``, with an empty buffer: it can embed at once, and go on learning.

    Args:
        folder: written by `OnlineLearner.save`, or the folder of a run, whose newest good checkpoint is taken.
        num_lanes: lanes of the streams to come; None: as many as before.

    Raises:
        CheckpointError: a file is missing, damaged, or no saved learner.
    """
    folder = Path(folder)
    is_run = (folder / "config.yaml").is_file()
    parts, facts = read_checkpoint(newest_good(RunFolder(folder).checkpoints_dir)[0] if is_run else folder)
    if not is_run and "config" not in facts:
        raise CheckpointError(f"{folder} is one checkpoint of a run; load the run's folder, {folder.parent.parent}")
    config = RunFolder(folder).config if is_run else build(facts["config"], Config, "")
    learner = OnlineLearner(
        StreamSpec.from_json(facts["spec"]), num_lanes or facts.get("num_lanes", config.env.num_lanes), config
    )
    learner.load_state(*parts["learner"])
    learner.restart_schedule()
    return learner
