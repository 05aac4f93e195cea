"""A YAML reader that is safe, refuses what is easily misread, and remembers line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from embodied_ssl.errors import ConfigError


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses aliases and doubled keys, and reads ``1e-3`` as the number it is."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node; aliases are refused, since they hide where a value comes from and can blow up."""
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise ComposerError(None, None, "aliases (*name) are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping; a key written twice is refused, since one of the two would be lost in silence."""
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """Parse one YAML document.

    Args:
        text: the document.
        name: file name for messages.

    Returns:
        The value (``{}`` for an empty document), and the line number of each dotted key.

    Raises:
        ConfigError: one line with file and line, if it is not YAML or uses aliases or doubled keys.
    """
    try:
        loader = StrictLoader(text)
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        return loader.construct_document(node), dict(_lines(node, ""))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: {error.problem or 'not a YAML document'}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not a YAML document: {' '.join(str(error).split())}") from error


def _lines(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            dotted = f"{prefix}.{key.value}" if prefix else str(key.value)
            yield dotted, key.start_mark.line + 1
            yield from _lines(value, dotted)
