"""A learner that begins with the encoder of another one: what fits is taken, what does not is refused by name."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.errors import ConfigError, SpecError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.saved import load
from embodied_ssl.learner.snapshots import Snapshot
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.spec import SensorSpec, StreamSpec

READ = "read.weight"
"""The one weight of the core whose columns belong to sensors."""


def inherit(learner: OnlineLearner, path: Path | str) -> dict[str, Any]:
    """Give ``learner``, which has learned nothing yet, the published encoder of a run or saved learner.

    Sensors are matched by name. One that the other learner did not know begins with weights of its own; one that is
    not here any more is left out. Heads are taken when all sensors and the action are the same.

    Args:
        learner: new, its first version not yet used.
        path: run folder, ``latest``, or a folder that `OnlineLearner.save` wrote.

    Returns:
        JSON-able facts: where from, which sensors were taken, which are new, which were left out, which heads.

    Raises:
        ConfigError: the encoder's widths differ.
        SpecError: a sensor, the action or the control rate differs, or no sensor is shared.
        CheckpointError: there is no good checkpoint.
    """
    path = Path(path)
    folder = path if (path / "manifest.json").is_file() else RunFolder.open(path).path
    donor = load(folder, num_lanes=1)
    _check_widths(learner, donor, folder)
    shared = _check_sensors(learner.spec, donor.spec, folder)
    donor.model.encoder.load_state_dict(donor.snapshot.weights)
    _take_encoder(learner.model.encoder, donor.model.encoder, shared)
    _take_encoder(learner.model.target_encoder, donor.model.target_encoder, shared)
    heads = _take_heads(learner, donor) if _layout(learner.spec) == _layout(donor.spec) else []
    learner.snapshot = Snapshot.of(learner.model.encoder, version=0, updates=0)
    learner.mark_healthy()
    names, before = ([sensor.name for sensor in spec.sensors] for spec in (learner.spec, donor.spec))
    return {
        "from": str(folder),
        "updates": donor.num_updates,
        "sensors": shared,
        "new": [name for name in names if name not in shared],
        "left_out": [name for name in before if name not in shared],
        "heads": heads,
    }


def describe(facts: dict[str, Any]) -> str:
    """Return one line for people about what `inherit` took."""
    parts = {"sensors": "sensors", "new": "new here", "left_out": "left out", "heads": "heads"}
    said = [f"{label}: {', '.join(facts[key])}" for key, label in parts.items() if facts[key]]
    return f"encoder of {facts['from']} after {facts['updates']} updates; {'; '.join(said)}"


def keep_statistics(learner: OnlineLearner, facts: dict[str, Any]) -> None:
    """Let a frozen encoder keep the normalisation that it came with; one with new sensors must fit theirs."""
    if math.isfinite(learner.update_step.statistics_updates) and not facts["new"]:
        learner.update_step.statistics_updates = 0


def _check_widths(learner: OnlineLearner, donor: OnlineLearner, folder: Path) -> None:
    for field in dataclasses.fields(learner.config.encoder):
        here, there = (getattr(each.config.encoder, field.name) for each in (learner, donor))
        if here != there:
            raise ConfigError(
                f"encoder.{field.name} is {here}, that of {folder} is {there}; set --encoder.{field.name} {there}"
            )


def _check_sensors(here: StreamSpec, there: StreamSpec, folder: Path) -> list[str]:
    """Return the names of the sensors that both have."""
    if here.control_hz != there.control_hz:
        raise SpecError(
            f"control_hz is {here.control_hz:g}, that of {folder} is {there.control_hz:g}: a tick would mean another "
            "time; align the logs to the same rate (--log.control_hz)"
        )
    if here.action_size != there.action_size and 0 not in (here.action_size, there.action_size):
        raise SpecError(f"the action has {here.action_size} values, that of {folder} {there.action_size}")
    theirs = {sensor.name: sensor for sensor in there.sensors}
    shared = [sensor.name for sensor in here.sensors if sensor.name in theirs]
    if not shared:
        raise SpecError(
            f"no sensor of {folder} ({', '.join(theirs)}) is here: {', '.join(s.name for s in here.sensors)}"
        )
    for name in shared:
        forms = _form(here, here[name]), _form(there, there[name])
        if forms[0] != forms[1]:
            raise SpecError(f"sensor {name!r} is {forms[0]}, in {folder} it is {forms[1]}; rename or drop it")
    return shared


def _form(spec: StreamSpec, sensor: SensorSpec) -> str:
    return f"{sensor.dtype} {sensor.shape} with {spec.rows_per_tick(sensor)} rows a tick"


def _layout(spec: StreamSpec) -> tuple[Any, ...]:
    """Return what the widths of heads depend on."""
    return spec.action_size, *((sensor.name, _form(spec, sensor)) for sensor in spec.sensors)


def _columns(encoder: StreamEncoder) -> dict[str, range]:
    """Return the features of a tick that belong to each sensor; those of the action under an empty name."""
    places, start = {}, 0
    for sensor, tokenizer in zip(encoder.spec.sensors, encoder.tokenizers, strict=True):
        width: Any = tokenizer.features_dim
        places[sensor.name] = range(start, start + width)
        start += width
    return places | {"": range(start, encoder.tick_dim)}


@torch.no_grad()
def _take_encoder(into: StreamEncoder, source: StreamEncoder, shared: list[str]) -> None:
    positions = {sensor.name: index for index, sensor in enumerate(source.spec.sensors)}
    for sensor, tokenizer in zip(into.spec.sensors, into.tokenizers, strict=True):
        if sensor.name in shared:
            tokenizer.load_state_dict(source.tokenizers[positions[sensor.name]].state_dict())
    core = source.core.state_dict()
    read = into.core.read.weight.clone()
    _copy_columns(read, core[READ], into, source, shared)
    into.core.load_state_dict({**core, READ: read})


def _copy_columns(read: Tensor, taken: Tensor, into: StreamEncoder, source: StreamEncoder, shared: list[str]) -> None:
    """Copy the columns ``(O, F, C)`` of shared sensors in place, and of the action where both have one."""
    here, there = _columns(into), _columns(source)
    for name in (*shared, ""):
        if len(here[name]) == len(there[name]):
            read[:, list(here[name])] = taken[:, list(there[name])].to(read)


def _take_heads(learner: OnlineLearner, donor: OnlineLearner) -> list[str]:
    taken = []
    for name, head in learner.model.objectives.items():
        theirs = donor.model.objectives[name].state_dict() if name in donor.model.objectives else {}
        mine = head.state_dict()
        if mine and {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in theirs.items()}:
            head.load_state_dict(theirs)
            taken.append(name)
    return taken
