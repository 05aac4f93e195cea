import pytest

from embodied_ssl.config_yaml import read_yaml
from embodied_ssl.errors import ConfigError


def test_values_and_lines():
    value, lines = read_yaml("a: 1\nb:\n  c: 1e-3\n  d: [x]\n", "f.yaml")
    assert value == {"a": 1, "b": {"c": 1e-3, "d": ["x"]}}
    assert lines == {"a": 1, "b": 2, "b.c": 3, "b.d": 4}


@pytest.mark.parametrize(
    ("text", "value"), [("1e3", 1000.0), ("-2E-4", -2e-4), ("3.e2", 300.0), ("1e", "1e"), ("12", 12)]
)
def test_scientific_numbers(text, value):
    assert read_yaml(f"x: {text}", "f")[0] == {"x": value}


def test_empty_document_is_empty():
    assert read_yaml("# nothing\n", "f") == ({}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x\n", r"f\.yaml:2: aliases"),
        ("a: 1\na: 2\n", r"f\.yaml:2: 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2\n", r"f\.yaml:3: 'b' is given twice"),
        ("a: [1\n", r"f\.yaml:2: "),
        ("a: 1\n\tb: 2\n", r"f\.yaml:2: "),
        ("!!python/object/apply:os.getcwd []", r"f\.yaml:1: .*python/object"),
        ("a: \x01", r"f\.yaml: not a YAML document"),
        ("? [1, 2]\n: 3\n", r"f\.yaml:1: "),
        ("a: 1\n---\nb: 2\n", r"f\.yaml:2: "),
    ],
)
def test_mistakes_are_one_line_with_their_place(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(text, "f.yaml")
    assert "\n" not in str(caught.value)
