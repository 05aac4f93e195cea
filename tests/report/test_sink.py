import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from embodied_ssl.config import Config
from embodied_ssl.errors import ConfigError, RunError
from embodied_ssl.report.sink import JsonlSink, TensorBoardSink, WandbSink, make_sinks, read_rows
from embodied_ssl.run_folder import RunFolder


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder.create(Config(runs_dir=str(tmp_path)))


def row(updates: int, **values: object) -> dict[str, object]:
    return {"wall_s": 1.0, "env_steps": updates * 20, "updates": updates, **values}


def test_jsonl_rows_are_on_disk_at_once_and_hold_no_bad_numbers(tmp_path):
    sink = JsonlSink(tmp_path / "m.jsonl")
    sink.write("learner", row(1, loss=float("nan"), rank=np.float32(2.5), skill=float("-inf")))
    (line,) = (tmp_path / "m.jsonl").read_text().splitlines()
    sink.close()
    assert json.loads(line) == {
        **{"kind": "learner", "wall_s": 1.0, "env_steps": 20, "updates": 1},
        **{"loss": None, "rank": 2.5, "skill": None},
    }


def test_jsonl_resume_drops_newer_rows_and_a_torn_line(tmp_path):
    path = tmp_path / "m.jsonl"
    sink = JsonlSink(path)
    for updates in (1, 2, 3):
        sink.write("learner", row(updates))
    sink.close()
    with path.open("a") as file:
        file.write('{"kind": "learner", "upd')
    resumed = JsonlSink(path, resume_updates=2)
    resumed.write("learner", row(3, again=True))
    resumed.close()
    assert [(r["updates"], r.get("again")) for r in read_rows(path)] == [(1, None), (2, None), (3, True)]
    assert resumed.last_env_steps == 40


def test_a_damaged_row_in_the_middle_is_named(tmp_path):
    (tmp_path / "m.jsonl").write_text("{}\nnonsense\n{}\n")
    with pytest.raises(RunError, match=r"m\.jsonl:2 is damaged"):
        read_rows(tmp_path / "m.jsonl")


def test_jsonl_is_always_among_the_sinks(run):
    sinks = make_sinks([], run)
    sinks.write("agent", row(1))
    sinks.flush()
    sinks.close()
    assert [r["kind"] for r in read_rows(run.metrics_path)] == ["agent"]


def test_unknown_sink_is_refused_before_a_file_is_touched(run):
    with pytest.raises(ConfigError, match="unknown sink 'tensorbord'; did you mean 'tensorboard'"):
        make_sinks(["tensorbord"], run)
    assert not run.metrics_path.exists()


@pytest.mark.parametrize(("name", "module"), [("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard")])
def test_missing_extra_names_the_install_command(run, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'embodied-ssl\[{name}\]'"):
        make_sinks([name], run)


def test_tensorboard_events_hold_the_numbers(run):
    pytest.importorskip("tensorboard")
    sinks = make_sinks(["tensorboard"], run)
    sinks.write("learner", row(2, loss=0.5, note="text", bad=float("nan")))
    sinks.close()
    assert isinstance(sinks.sinks[1], TensorBoardSink)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    (event,) = events.Tensors("learner/loss")
    assert (event.step, event.tensor_proto.float_val[0]) == (40, 0.5)
    assert not {"learner/note", "learner/bad"} & set(events.Tags()["tensors"])


def test_wandb_is_offline_and_gets_the_numbers(run, monkeypatch):
    started, logged = [], []
    client = SimpleNamespace(log=logged.append, finish=lambda: logged.append("finished"))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **kw: started.append(kw) or client))
    WandbSink(run)
    sink = WandbSink(run)
    sink.write("agent", row(3, loss=0.5, bad=float("inf")))
    sink.close()
    assert started[0]["mode"] == "offline"
    assert started[0]["id"] == started[1]["id"]
    assert started[0]["dir"] == str(run.path)
    assert logged == [
        {"agent/loss": 0.5, "agent/wall_s": 1.0, "agent/updates": 3, "agent/env_steps": 60, "env_steps": 60},
        "finished",
    ]
