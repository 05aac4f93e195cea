"""Distractors and shifts: what a representation should ignore, and what it should adapt to.

All are procedural, seeded per lane, and composable in any number. `difficulty` easy, medium or hard sets a scale of .1,
.2 or .3, as in the Distracting Control Suite (Stone et al. 2021, arXiv:2101.02722); options of each are the keyword
arguments of its class.

    seen by cameras   background, colour, camera, light, bodies
    read by sensors   spurious, stuck, lagged, dropped, desynchronised
    in the physics    shift
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embodied_envs.distractors.base import Distractor
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.nearest import nearest

__all__ = ["DISTRACTORS", "make_distractors"]

Options = Mapping[str, Any]

DISTRACTORS = {
    "background": "embodied_envs.distractors.background:Background",
    "colour": "embodied_envs.distractors.colour:Colour",
    "camera": "embodied_envs.distractors.camera:CameraMotion",
    "light": "embodied_envs.distractors.light:Light",
    "bodies": "embodied_envs.distractors.bodies:Bodies",
    "spurious": "embodied_envs.distractors.spurious:Spurious",
    "stuck": "embodied_envs.distractors.stuck:Stuck",
    "lagged": "embodied_envs.distractors.lagged:Lagged",
    "dropped": "embodied_envs.distractors.dropped:Dropped",
    "desynchronised": "embodied_envs.distractors.desynchronised:Desynchronised",
    "shift": "embodied_envs.distractors.shift:Shift",
}
"""Name -> module:class, imported when asked for."""


def make_distractors(
    asked: Sequence[str | Mapping[str, Options]] | Mapping[str, Options], difficulty: str = "easy"
) -> tuple[Distractor, ...]:
    """Return the distractors asked for.

    Args:
        asked: names, or name -> options, or a list of both: `["background", {"shift": {"what": "friction"}}]`.
        difficulty: easy, medium or hard; an option `difficulty` of one distractor goes before it.

    Raises:
        ValueError: an unknown name, option or difficulty, a value that an option cannot have, or a name given twice.
    """
    if isinstance(asked, str):
        raise ValueError(f"got distractors={asked!r}, expected a list of names; fix: [{asked!r}]")
    pairs = list(_pairs(asked))
    names = [name for name, _ in pairs]
    for name in names:
        if name not in DISTRACTORS:
            raise ValueError(f"got distractor {name!r}; {nearest(name, DISTRACTORS)}")
        if names.count(name) > 1:
            raise ValueError(f"got distractor {name!r} twice, expected each name once")
    return tuple(_make(name, {"difficulty": difficulty} | dict(options)) for name, options in pairs)


def _pairs(asked: Sequence[str | Mapping[str, Options]] | Mapping[str, Options]) -> Iterator[tuple[str, Options]]:
    """Yield names with options; an entry of a list may be a name or a mapping of its own."""
    for entry in [asked] if isinstance(asked, Mapping) else asked:
        if isinstance(entry, Mapping):
            yield from ((name, options or {}) for name, options in entry.items())
        else:
            yield str(entry), {}


def _make(name: str, options: dict[str, Any]) -> Distractor:
    module, attribute = DISTRACTORS[name].split(":")
    maker = getattr(importlib.import_module(module), attribute)
    known = inspect.signature(maker).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"distractor {name!r} has no option {option!r}; {nearest(option, known)}")
    if options["difficulty"] not in SCALES:
        raise ValueError(f"got difficulty {options['difficulty']!r}; {nearest(options['difficulty'], SCALES)}")
    distractor = maker(**options)
    distractor.options = {key: options[key] for key in sorted(options)}
    return distractor
