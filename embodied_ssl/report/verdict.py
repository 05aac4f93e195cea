"""The verdict of a run in one sentence: each claim beside its null, the unfavourable ones said as plainly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.report.figures_evaluation import probe_records, skill_at, skill_records
from embodied_ssl.report.run_data import Estimate, NotRecordedError, RunData

NULLS = ("frozen_random", "raw_tick", "raw_window", "raw_window_pca", "frozen_pretrained")

STATES = {"keep": "healthy", "nothing": "in doubt", "roll_back": "rolled back"}
"""What the action of a health verdict says of the state it was given for."""


@dataclass(frozen=True)
class Claim:
    """One clause of the verdict and how far it speaks for the run: 1 wholly, 0.5 in part, 0 not at all."""

    text: str
    standing: float


@dataclass(frozen=True)
class Verdict:
    """What the run showed.

    Attributes:
        mood: `good`, `mixed`, `poor` or `open` (nothing to judge).
        sentence: plain text.
    """

    mood: str
    sentence: str


def verdict(run: RunData) -> Verdict:
    """Judge a run by health, forward skill, probes and return, as far as it recorded them."""
    if run.rows and not run.summary and not run.evaluation:
        return Verdict("open", "The run has not come to its end: there is no summary yet; resume it or wait.")
    claims: list[Claim] = []
    for judge in (_health, _skill, _probe, _return):
        try:
            claims.append(judge(run))
        except NotRecordedError:
            continue
    if not claims:
        return Verdict("open", "Nothing to judge yet: the run recorded neither health, nor skill, probes or returns.")
    standing = sum(claim.standing for claim in claims) / len(claims)
    mood = "good" if standing == 1 else "poor" if standing == 0 else "mixed"
    text = "; ".join(claim.text for claim in claims)
    return Verdict(mood, text[:1].upper() + text[1:] + ".")


def _health(run: RunData) -> Claim:
    states = [str(row["verdict"]) for row in run.of_kind("health") if row.get("verdict") is not None]
    if not states:
        raise NotRecordedError("no health verdict")
    end = STATES.get(states[-1], states[-1])
    rolled = states.count("roll_back")
    history = f" after {rolled} roll-back{'s' if rolled > 1 else ''}" if rolled else ""
    return Claim(f"the learner ended {end}{history}", (end == "healthy") / (2.0 if rolled else 1.0))


def _skill(run: RunData) -> Claim:
    records = skill_records(run)
    # Recordings and strange envs know no readings without noise.
    judged = next((records[name] for name in ("clean", "noisy") if name in records), None)
    if judged is None:
        raise NotRecordedError("no forward skill against readings")
    median, bounds = judged["median"], judged.get("interval") or {}
    horizons = sorted((h for h in median if str(h).isdigit()), key=int)
    scores = {h: skill_at(median[h], bounds.get(h)) for h in horizons}
    return _compared("it foresees its sensors better than the best simple predictor", scores, "ticks", 0.0)


def _compared(text: str, scores: dict[str, Estimate], unit: str, null: float) -> Claim:
    clear = [k for k, s in scores.items() if (s.low if np.isfinite(s.low) else s.value) > null]
    if not clear:
        return Claim(text.replace("it foresees", "it does not foresee").replace("it tells", "it does not tell"), 0.0)
    rest = [k for k in scores if k not in clear]
    tail = f", not at {_listed(rest)}" if rest else ""
    unit = unit.removesuffix("s") if clear == ["1"] else unit
    return Claim(f"{text} at {_listed(clear)} {unit}{tail}".replace("at all", "with all"), 0.5 if rest else 1.0)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _probe(run: RunData) -> Claim:
    gaps: dict[str, Estimate] = {}
    for count, row in probe_records(run).items():
        nulls = [Estimate.read(row[name]) for name in NULLS if name in row]
        learned = Estimate.read(row.get("learned"))
        if nulls and np.isfinite(learned.value):
            highest = max(_upper(null) for null in nulls)
            gaps[count] = Estimate(learned.value - highest, _lower(learned) - highest)
    if not gaps:
        raise NotRecordedError("no probe scores beside nulls")
    return _compared("it tells hidden state better than every null", gaps, "labels", 0.0)


def _return(run: RunData) -> Claim:
    policy, random = run.return_of("policy"), run.return_of("random")
    if not np.isfinite(policy.value + random.value):
        raise NotRecordedError("no returns")
    better = _lower(policy) > _upper(random)
    return Claim(f"the policy returns {policy.value:.4g} beside {random.value:.4g} at random", float(better))


def _lower(estimate: Estimate) -> float:
    return estimate.low if np.isfinite(estimate.low) else estimate.value


def _upper(estimate: Estimate) -> float:
    return estimate.high if np.isfinite(estimate.high) else estimate.value
