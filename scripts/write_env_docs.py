"""Write docs/envs.md and docs/pictures: what every robot looks like, senses and is asked to do.

    python scripts/write_env_docs.py [PART ...]

Parts are robots' names, `looks`, `suite` and names of distractors; with parts, only their pictures are drawn anew. The
page is always written whole, from the envs themselves. Needs OpenGL (EGL) and the extra `dmc`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from env_pictures import (
    PICTURES,
    SCRIPTS,
    SECONDS,
    SHIFT,
    bare_name,
    draw_distractor,
    draw_looks,
    draw_robot,
    draw_suite,
    open_env,
)

from embodied_envs import ENV_IDS, SUITE_IDS
from embodied_envs.distractors import DISTRACTORS
from embodied_envs.suite import ACTION_REPEAT
from embodied_ssl.report.env_tables import SENSOR_COLUMNS, env_facts, number, privileged_rows, sensor_rows
from embodied_ssl.sources.env_card import EnvCard, env_card

DISTRACTED = "Embodied/Runner-v0"


def main(parts: list[str]) -> None:
    """Draw what is asked for, then write the page."""
    known = [*map(bare_name, ENV_IDS), "looks", "suite", *DISTRACTORS]
    unknown = [part for part in parts if part not in known]
    if unknown:
        sys.exit(f"unknown part {unknown[0]!r}; allowed: {', '.join(known)}")
    _draw(parts or known)
    cards = {env_id: _card(env_id) for env_id in (*ENV_IDS, *SUITE_IDS)}
    lines = [*_head(), *_list_of_envs(cards.values())]
    for env_id in ENV_IDS:
        lines += _robot(cards[env_id])
    lines += [*_suite(), *_looks(), *_distractors()]
    (PICTURES.parent / "envs.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _draw(parts: list[str]) -> None:
    for env_id in ENV_IDS:
        if bare_name(env_id) in parts:
            draw_robot(env_id)
    if "looks" in parts:
        draw_looks(ENV_IDS)
    if "suite" in parts:
        draw_suite(SUITE_IDS)
    for name in DISTRACTORS:
        if name in parts:
            draw_distractor(DISTRACTED, name)


def _card(env_id: str) -> EnvCard:
    env = open_env(env_id)
    try:
        return env_card(env, env_id)
    finally:
        env.close()


def _head() -> Iterator[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in ("mujoco", "gymnasium", "numpy"))
    yield "# Robots and tasks"
    yield ""
    yield f"Written by `scripts/write_env_docs.py` on {_processor()}, with {packages};"
    yield "pictures by EGL unless they say otherwise. `embodied-ssl envs ID` prints the tables of any env, and"
    yield "`embodied-ssl view ID` makes such pictures and a film of it."
    yield ""
    yield "Bodies are numbered; the world and its fixed scenery are 0 and blank. Simple policies earn"
    yield "[these returns](results/env_returns.md); lanes are [this fast](results/benchmarks.md)."
    yield ""
    yield "Noise and bias are standard deviations in the sensor's unit; a bias lasts an episode. In timelines, rows"
    yield "stand at the time of their capture; below each sensor are its newest row's age at each observation (line),"
    yield "captures (marks) and lost rows (red)."
    yield ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()} ({os.cpu_count()} cores)"
    return f"{os.cpu_count()} cores"


def _list_of_envs(cards: Iterable[EnvCard]) -> Iterator[str]:
    yield from _table(
        ("id", "control in Hz", "actions", "ticks an episode", "what it is"),
        (
            (f"`{card.id}`", number(card.control_hz), str(int(np.prod(card.action.shape))), str(card.episode_ticks),
             card.summary)
            for card in cards
        ),
    )  # fmt: skip


def _robot(card: EnvCard) -> Iterator[str]:
    name = bare_name(card.id)
    yield f"## {name}"
    yield ""
    yield from (f"- {line}" for line in list(env_facts(card))[1:])
    yield (
        f"- in the pictures it acts by `{SCRIPTS[name][0]}`"
        if name in SCRIPTS
        else "- in the pictures it acts at random"
    )
    yield ""
    yield from _picture(f"{name}_outside", f"{name} from outside, at the start and after 1.5 s and 3 s")
    yield from _picture(
        f"{name}_cameras", f"{name}: what its cameras see, in colour, as depth (near is bright), as bodies"
    )
    yield from _picture(f"{name}_timelines", f"{name}: its sensors over {SECONDS:g} s")
    yield from _table(SENSOR_COLUMNS, sensor_rows(card.sensors))
    yield from _table(("privileged: group", "quantity", "unit"), privileged_rows(card))


def _suite() -> Iterator[str]:
    yield "## Control suite"
    yield ""
    yield "Six tasks of the DeepMind Control Suite (extra `dmc`). They observe states; `cameras=True` adds pixels, and"
    yield "`action_repeat` lets an action last several control periods, as published results from pixels do:"
    yield ", ".join(f"{name} {repeat}" for name, repeat in ACTION_REPEAT.items()) + "."
    yield ""
    yield from _picture("suite", "the tasks' cameras over two seconds of random actions")


def _looks() -> Iterator[str]:
    yield "## Camera presets"
    yield ""
    yield '`camera_preset="fast"` (default) and `"quality"` are OpenGL\'s; `camera_backend="ray"` needs no graphics'
    yield "library. Pixels differ, so a run keeps the back end it was recorded with."
    yield ""
    yield from _picture("looks", "the first camera of each robot by each preset")


def _distractors() -> Iterator[str]:
    yield "## Distractors and shifts"
    yield ""
    yield "`distractors=[NAME, ...]`, or a table of options for each, with `difficulty` easy, medium or hard. Those"
    yield "that cameras do not see are shown by the other sensors, at hard."
    yield ""
    for name, place in DISTRACTORS.items():
        module, attribute = place.split(":")
        doc = getattr(importlib.import_module(module), attribute).__doc__ or ""
        yield f"### {name}"
        yield ""
        yield " ".join(doc.split("\n\n")[0].split())
        yield ""
        options = f" with {SHIFT}" if name == "shift" else ""
        yield from _picture(f"distractor_{name}", f"{name} on {bare_name(DISTRACTED)}{options}")


def _picture(name: str, text: str) -> Iterator[str]:
    yield f"![{text}](pictures/{name}.jpg)"
    yield ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    yield ""


if __name__ == "__main__":
    main(sys.argv[1:])
