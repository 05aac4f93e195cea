from pathlib import Path

import pytest

from embodied_ssl.config import Config, EnvConfig, LearnerConfig
from embodied_ssl.config_file import config_hash, dump_config, load_config, save_config
from embodied_ssl.config_schema import options
from embodied_ssl.config_yaml import read_yaml
from embodied_ssl.errors import ConfigError

CONFIGS = Path(__file__).parents[1] / "configs"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_no_file_is_the_defaults():
    assert load_config(None) == Config()


def test_quickstart_holds_every_default():
    path = CONFIGS / "quickstart.yaml"
    _, lines = read_yaml(path.read_text(), "quickstart.yaml")
    assert load_config(path) == Config()
    assert set(options()) <= set(lines)


def test_tiny_is_the_quickstart_with_smaller_budgets():
    tiny, full = load_config(CONFIGS / "tiny_cpu.yaml"), Config()
    assert tiny.env_steps <= 2000
    assert tiny.evaluation.train_episodes < full.evaluation.train_episodes
    assert (tiny.encoder, tiny.env, tiny.objectives) == (full.encoder, full.env, full.objectives)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configs_load(path):
    assert load_config(path).name == path.stem


def test_objectives_are_replaced_as_a_whole(tmp_path):
    config = load_config(write(tmp_path, "objectives:\n  spread: {weight: 1e-3}\n"))
    assert config.objectives == {"spread": {"weight": 1e-3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learner:\n  lrr: 1\n", r":2: learner\.lrr is not an option; did you mean learner\.lr\? allowed in learner"),
        ("seed: 0\nlerner:\n  lr: 1\n", r":2: lerner is not an option"),
        ("learner:\n  batch_size: 63\n", r":2: learner\.batch_size is 63, expected a multiple"),
        ("buffer:\n  capacity_ticks: 10\n", r":2: buffer\.capacity_ticks is 10, expected more than"),
        ("seed: true\n", r":1: seed is True, expected a whole number"),
        ("agent:\n  name: sacc\n", r":2: agent\.name is 'sacc'; did you mean 'sac'"),
        ("sinks: [1]\n", r":1: sinks\[0\] is 1, expected text"),
        ("objectives:\n  spread: 3\n", r":2: objectives\.spread is 3, expected a table"),
        ("3", r"the file is 3, expected a table"),
    ],
)
def test_mistakes_name_place_and_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read config .*No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "b.yaml")


def test_save_and_load_give_the_same_config(tmp_path):
    shared = [1, 2]
    config = Config(name="x", learner=LearnerConfig(lr=1e-5), env=EnvConfig(kwargs={"a": shared, "b": shared}))
    save_config(config, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml") == config


def test_what_yaml_cannot_hold_is_refused():
    with pytest.raises(ConfigError, match="which YAML cannot"):
        dump_config(Config(env=EnvConfig(kwargs={"a": object()})))


def test_hash_names_what_a_run_does_not_where():
    config = Config()
    assert config_hash(config) == config_hash(Config(name="other", runs_dir="elsewhere"))
    assert config_hash(config) != config_hash(Config(seed=1))
    assert config_hash(config) != config_hash(Config(objectives={"spread": {"weight": 0.2}}))
