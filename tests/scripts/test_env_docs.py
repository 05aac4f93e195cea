"""docs/envs.md is what the envs are now; `python scripts/write_env_docs.py` writes it again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from embodied_envs import ENV_IDS, SUITE_IDS
from embodied_envs.distractors import DISTRACTORS
from embodied_ssl.config import EnvConfig
from embodied_ssl.report.env_tables import privileged_rows, sensor_rows
from embodied_ssl.sources.env_card import env_card
from embodied_ssl.sources.envs import make_env

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "envs.md").read_text(encoding="utf-8")


def test_every_env_and_distractor_is_on_the_page(page):
    for env_id in ENV_IDS + SUITE_IDS:
        assert f"`{env_id}`" in page
    for name in DISTRACTORS:
        assert f"### {name}\n" in page


def test_every_picture_exists_is_shown_and_small(page):
    shown = set(re.findall(r"\]\((pictures/[^)]+)\)", page))
    files = {str(path.relative_to(DOCS)) for path in (DOCS / "pictures").iterdir()}
    assert shown == files
    assert sum((DOCS / name).stat().st_size for name in files) < MOST_BYTES


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_tables_are_what_the_env_declares(page, env_id):
    env = make_env(EnvConfig(id=f"embodied_envs:{env_id}", kwargs={"camera_backend": "ray"}), num_lanes=1)
    card = env_card(env, env_id)
    env.close()
    section = page.split(f"## {env_id.partition('/')[2].removesuffix('-v0')}\n")[1].split("\n## ")[0]
    for row in (*sensor_rows(card.sensors), *privileged_rows(card)):
        assert f"| {' | '.join(row)} |" in section, "run scripts/write_env_docs.py"
