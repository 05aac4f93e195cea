"""Finding Gymnasium ids by name: those that a module registers, and the one that a user means."""

from __future__ import annotations

import difflib
import importlib

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import ConfigError

DEFAULT_MODULE = EnvConfig().id.partition(":")[0]
"""Module that holds the default env; asked first for an id without a module, so that its short names work."""


def list_env_ids(module: str = DEFAULT_MODULE) -> tuple[str, ...]:
    """Return the ids that `module` registers when it is imported, each as ``module:id``.

    An env belongs to the module that its entry point lies in.

    Raises:
        ConfigError: the module cannot be imported, or registers nothing.
    """
    _import(module)
    ids = tuple(f"{module}:{spec.id}" for spec in gym.registry.values() if _home(spec) == module.partition(".")[0])
    if not ids:
        raise ConfigError(f"module {module!r} registers no Gymnasium env; see gymnasium.register")
    return ids


def find_env_id(word: str) -> str:
    """Return the id that a user means.

    Args:
        word: ``module:id``, an id that Gymnasium or the default module knows, or an env's bare name if only one env of
            that module has it: ``embodied_envs:Embodied/Runner-v0``, ``Pendulum-v1``, ``Runner``.

    Raises:
        ConfigError: nothing is called so; one line with the nearest right name.
    """
    module, colon, name = word.rpartition(":")
    own = list_env_ids(module if colon else DEFAULT_MODULE)
    meant = [known for known in own if name in (known.partition(":")[2], _spec(known).name)]
    if meant:
        return meant[-1]
    if not colon and name in gym.registry:
        return name
    raise ConfigError(f"no env is called {word!r}; {_hint(name, own, anywhere=not colon)}")


def _hint(name: str, own: tuple[str, ...], anywhere: bool) -> str:
    ids = sorted(known.partition(":")[2] for known in own)
    known = [*ids, *(_spec(one).name for one in own), *(gym.registry if anywhere else ())]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(ids)}" + (", or any other Gymnasium id" if anywhere else "")


def _spec(known: str) -> EnvSpec:
    return gym.registry[known.partition(":")[2]]


def _home(spec: EnvSpec) -> str:
    entry = spec.entry_point
    module = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", None) or ""
    return module.partition(".")[0]


def _import(module: str) -> None:
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"{module!r} is no module's name; envs are called module:id, such as {EnvConfig().id}")
    try:
        importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"module {module!r} cannot be imported: {' '.join(str(error).split())}") from error
