"""The table of PushT probes, made from rows only, beside published figures and with what differs from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied_ssl.evaluate.intervals import mean_interval
from embodied_ssl.run_folder import write_text

TARGETS = ("agent_x", "agent_y", "block_x", "block_y", "block_sin", "block_cos")
PUBLISHED: Mapping[str, tuple[float, float, float]] = {
    "LeWM": (0.974, 0.986, 0.902),
    "PLDM": (0.955, 0.938, 0.745),
    "DINO-WM": (0.977, 0.997, 0.979),
}
"""Pearson r of linear probes for agent xy, block xy and block angle: Maes et al. 2026, arXiv 2603.19312, PushT."""

DIFFERENCES = """Differences from the published protocol, all of which matter:

- They learn from about 18,500 PushT episodes (the DINO-WM data set); here there are 151 demonstrations, of which a
  fifth is held out. The row `supervised` is the same architecture trained with all labels of the other episodes: what
  these episodes can teach about the held-out ones at all.
- They encode one picture of 224 px with a ViT (DINO-WM: frozen DINOv2, pretrained on other pictures); here four ticks
  of 96 px and, in `learned`, the past actions, which are targets of the agent's position and give it away:
  `learned_pixels_only` hides them from the encoder when it is probed.
- Angles are probed as sine and cosine here; they report one figure.
- Probes here are fitted on ticks of episodes that were learned from, and scored on whole held-out episodes.
"""


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the table of all rows of the newest code and config.

    Raises:
        SystemExit: there is no row.
    """
    if not rows:
        raise SystemExit("no rows; run the seeds first")
    rows = [row for row in rows if (row["code_hash"], _recipe(row)) == (rows[-1]["code_hash"], _recipe(rows[-1]))]
    last = rows[-1]
    lines = [
        "# PushT: what a frozen embedding knows of the state",
        "",
        f"Mean over seeds {', '.join(str(row['seed']) for row in rows)} with a 95 % t-interval. Made by "
        f"`python scripts/experiments/pusht.py` on {last['hardware']['cpu']}, "
        f"{last['hardware']['cores']} cores, no GPU; "
        f"{last['updates']} updates in {last['train_s']:.0f} s; torch {last['versions']['torch']}. "
        f"{last['ticks']['train']} ticks train read-outs, {last['ticks']['test']} are scored.",
        "",
    ]
    for probe in ("linear", "mlp"):
        for metric in ("r", "r2"):
            lines += _section(rows, probe, metric)
    lines += [
        "## Published, linear probes, Pearson r",
        "",
        "| | agent xy | block xy | block angle |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |" for name, values in PUBLISHED.items()
    ]
    lines += ["", DIFFERENCES]
    write_text(path, "\n".join(lines))


def _recipe(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row["config"].items() if key not in ("seed", "name")}


def _section(rows: Sequence[dict[str, Any]], probe: str, metric: str) -> list[str]:
    title = f"## {'Linear probe' if probe == 'linear' else 'MLP probe'}, {'Pearson r' if metric == 'r' else 'R2'}"
    lines = [title, "", "| features | " + " | ".join(TARGETS) + " |", "|---" * (len(TARGETS) + 1) + "|"]
    for name, scores in rows[-1]["scores"].items():
        if probe in scores:
            cells = [_cell([row["scores"][name][probe][metric][target] for row in rows]) for target in TARGETS]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(values: list[float]) -> str:
    mean, low, high = mean_interval(values)
    return f"{mean:.3f}" if low == high or low != low else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
