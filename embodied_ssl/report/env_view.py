"""Looks at an env: plays some seconds of it and writes what it saw as pictures and a film."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import ConfigError
from embodied_ssl.report.contact_sheet import contact_sheet
from embodied_ssl.report.env_recording import Recording, record
from embodied_ssl.report.film import write_film
from embodied_ssl.report.raster import write_picture
from embodied_ssl.report.timelines import timelines
from embodied_ssl.report.view_policies import view_policy
from embodied_ssl.sources.env_card import env_card
from embodied_ssl.sources.envs import make_env

MAX_SECONDS = 3600.0
"""All rows are kept in memory until the pictures are drawn."""


def record_env(
    env_id: str, kwargs: Mapping[str, Any], seconds: float, seed: int = 0, policy: str = "random"
) -> Recording:
    """Make an env with one lane, play it, close it.

    Args:
        env_id: Gymnasium id.
        kwargs: of the env's constructor.
        seconds: how long, above 0 and at most `MAX_SECONDS`; at least one tick is played.
        seed: at least 0; of the env and of random actions.
        policy: see `view_policies.view_policy`.

    Raises:
        ConfigError: the env, its arguments or the policy do not exist, or `seconds` or `seed` is out of range.
        SpecError: the env has no stream form.
        RunError: the env raises while it is played.
    """
    if not 0 < seconds <= MAX_SECONDS:
        raise ConfigError(f"seconds is {seconds}, expected a positive number of at most {MAX_SECONDS:g}")
    if seed < 0:
        raise ConfigError(f"seed is {seed}, expected a whole number of at least 0")
    act = view_policy(policy, seed)
    env = make_env(EnvConfig(id=env_id, kwargs=dict(kwargs)), num_lanes=1)
    try:
        card = env_card(env, env_id)
        return record(env, card, act, max(1, round(seconds * card.control_hz)), seed)
    finally:
        env.close()


def write_view(recording: Recording, folder: Path) -> tuple[Path, ...]:
    """Write ``timelines.png`` and, of an env with cameras, ``contact_sheet.png`` and ``view.mp4``.

    Returns:
        The files written.

    Raises:
        OSError: a picture cannot be written.
        RunError: the film cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines, sheet, film = (folder / name for name in ("timelines.png", "contact_sheet.png", "view.mp4"))
    write_picture(str(lines), timelines(recording)[0])
    if not recording.pictures:
        return (lines,)
    write_picture(str(sheet), contact_sheet(recording))
    write_film(recording, film)
    return sheet, lines, film
