import pytest

from embodied_ssl.cli_words import take, take_all
from embodied_ssl.errors import ConfigError


def test_options_are_taken_in_order_and_keys_that_begin_alike_are_left():
    words = ["--log", "a", "--log.mode", "replay", "--log=b=c", "--logs", "x", "--log", "d"]
    assert take_all(words, "--log") == ["a", "b=c", "d"]
    assert words == ["--log.mode", "replay", "--logs", "x"]
    assert take(words, "--config") is None
    assert take(words, "--logs") == "x"


@pytest.mark.parametrize("words", [["--log"], ["--log", "--seed", "3"]])
def test_an_option_without_a_value_is_refused(words):
    with pytest.raises(ConfigError, match="--log takes a path, got nothing"):
        take_all(words, "--log")


def test_an_option_that_is_taken_once_may_not_come_twice():
    with pytest.raises(ConfigError, match="given twice"):
        take(["--config", "a", "--config=b"], "--config")
