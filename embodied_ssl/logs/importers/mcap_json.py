"""Decode JSON messages into a flat table of path to value; types are what the JSON schema says, else what is seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 16


class JsonDecoder:
    """Decoder of one channel.

    Attributes:
        dtypes: ``float64`` for every path that the schema calls a ``number``; all else is judged by its values
            (whole numbers int64, truth values bool, any other float64).
    """

    def __init__(self, schema: bytes = b"") -> None:
        """Read the JSON schema, if there is one; a damaged one says nothing."""
        self.numbers: set[str] = set()
        self.dtypes: dict[str, str] = {}
        try:
            self._declare(json.loads(schema or b"{}"), "", 0)
        except (ValueError, RecursionError, AttributeError):
            self.numbers = set()

    def _declare(self, schema: Any, path: str, depth: int) -> None:
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return
        if schema.get("type") == "number":
            self.numbers.add(path)
        for name, part in schema.get("properties", {}).items():
            self._declare(part, f"{path}.{name}" if path else name, depth + 1)
        items = schema.get("items")
        if isinstance(items, Mapping):
            self._declare(items, path + "[]" if "properties" in items else path, depth + 1)

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return path to value.

        Raises:
            ValueError: the bytes are no JSON object.
        """
        try:
            message = json.loads(data)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(message, dict):
            message = {"value": message}
        values: dict[str, Any] = {}
        self._read(message, "", 0, values)
        return values

    def _read(self, message: Mapping[str, Any], prefix: str, depth: int, values: dict[str, Any]) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        for name, value in message.items():
            path = prefix + name
            if isinstance(value, Mapping):
                self._read(value, path + ".", depth + 1, values)
            elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
                for part in value:
                    element: dict[str, Any] = {}
                    self._read(part, path + "[].", depth + 1, element)
                    for key, leaf in element.items():
                        values.setdefault(key, []).append(leaf)
            else:
                values[path] = self._as_declared(path, value)

    def _as_declared(self, path: str, value: Any) -> Any:
        """Return whole numbers as floats where the schema says ``number``."""
        if path not in self.numbers:
            return value
        try:
            if isinstance(value, list):
                return [float(part) if type(part) is int else part for part in value]
            return float(value) if type(value) is int else value
        except OverflowError:
            raise ValueError(f"{path} is beyond float64") from None
