"""What an env's refusal says to the user: one line, with the nearest right keyword where one was misspelt."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from embodied_ssl.errors import nearest

_UNKNOWN_KEYWORD = re.compile(r"unexpected keyword argument '(\w+)'")
_PLAIN = (gym.error.Error, ImportError, TypeError, ValueError, RuntimeError)
"""Errors whose text stands on its own; others, such as KeyError('x'), need their type in front of it."""


def one_line(error: BaseException) -> str:
    """Return an error's text in one line, with its type where the text means little without."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, _PLAIN) else f"{type(error).__name__}: {text}".rstrip(": ")


def refusal(error: BaseException, env_id: str) -> str:
    """Return why an env's constructor refused its arguments, in one line.

    Args:
        error: what the constructor raised.
        env_id: ``id`` or ``module:id``; its entry point tells which keywords there are.
    """
    unknown = _UNKNOWN_KEYWORD.search(str(error)) if isinstance(error, TypeError) else None
    allowed = set(_keywords(env_id)) if unknown else set()
    if not unknown or not allowed or unknown[1] in allowed:
        return one_line(error)
    return f"{one_line(error)}; {nearest(unknown[1], allowed)}"


def _keywords(env_id: str) -> Iterator[str]:
    """Yield the keywords of an env's constructor, those of its base classes included if it passes them on."""
    spec = gym.registry.get(env_id.rpartition(":")[2])
    entry: Any = spec and (spec.vector_entry_point or spec.entry_point)
    if entry is None:
        return
    creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
    layers = [creator]
    if inspect.isclass(creator):
        layers = [base.__init__ for base in creator.__mro__ if "__init__" in vars(base)]
    for layer in layers:
        parameters = inspect.signature(layer).parameters.values()
        yield from (p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and _is_free(p))
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return


def _is_free(parameter: inspect.Parameter) -> bool:
    """Return whether users set the parameter: the number of lanes is set elsewhere."""
    return parameter.name not in ("self", "num_envs")
