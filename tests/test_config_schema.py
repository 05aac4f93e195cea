from typing import Any, Literal

import pytest

from embodied_ssl.config import Config, LearnerConfig
from embodied_ssl.config_schema import build, coerce, options, unknown_key
from embodied_ssl.errors import ConfigError


def test_number_of_options_is_known():
    """Options only grow when somebody means it: raise this number in the change that adds one, with its reason."""
    assert len(options()) == 75, sorted(options())


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, float, 1.0),
        ("1e-3", float, 1e-3),
        (3, int, 3),
        (True, bool, True),
        ("x", str, "x"),
        ("sac", Literal["sac", "none"], "sac"),
        ([1, 2], list[float], [1.0, 2.0]),
        ({"a": {"b": [1]}}, dict[str, dict[str, Any]], {"a": {"b": [1]}}),
        (None, int | None, None),
        (2, str | int, 2),
    ],
)
def test_fitting_values_pass(value, hint, expected):
    result = coerce(value, hint, "key")
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (True, float),
        (1, bool),
        (1.5, int),
        ("3", int),
        (3, str),
        (float("nan"), float),
        ("inf", float),
        (None, float),
        ("ppo", Literal["sac", "none"]),
        ("jsonl", list[str]),
        ([1], list[str]),
        ({1: {}}, dict[str, Any]),
        ({"spread": 3}, dict[str, dict[str, Any]]),
        ("x", int | None),
        ([], LearnerConfig),
    ],
)
def test_unfitting_values_are_refused_with_the_key_in_one_line(value, hint):
    with pytest.raises(ConfigError, match=r"some\.key") as caught:
        coerce(value, hint, "some.key")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "close"),
    [
        ("learner.lrr", "learner.lr"),
        ("lr", "learner.lr"),
        ("leaner.lr", "learner.lr"),
        ("sed", "seed"),
        ("env.lanes", "env.num_lanes"),
        ("encoder.gamma", "agent.gamma"),
    ],
)
def test_unknown_key_names_the_nearest(key, close):
    assert f"did you mean {close}?" in unknown_key(key)


def test_unknown_key_lists_the_neighbours():
    message = unknown_key("buffer.zzz")
    assert message.startswith("buffer.zzz is not an option; allowed in buffer: capacity_ticks, ")
    for name in ("guard_ticks", "storage", "folder"):
        assert name in message
    assert "is a section" in unknown_key("buffer")


def test_build_keeps_defaults_of_what_is_left_out():
    config = build({"learner": {"lr": 1}}, Config, "")
    assert config.learner == LearnerConfig(lr=1.0)
    assert config.agent == Config().agent
