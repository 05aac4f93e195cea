import pytest

from embodied_ssl.report.run_data import RunData
from embodied_ssl.report.verdict import verdict


def probes(learned: float, null: float, half: float = 0.02) -> dict:
    def score(mean: float) -> dict:
        return {"mean": mean, "interval": [mean - half, mean + half]}

    return {"64": {"learned": score(learned), "raw_window": score(null), "supervised": score(0.99)}}


def health(*states: str) -> list[dict]:
    return [{"kind": "health", "updates": i, "verdict": state} for i, state in enumerate(states)]


def test_a_good_run_is_said_to_be_good() -> None:
    summary = {"forward_skill": {"1": 0.2, "5": 0.1}, "return": {"policy": 80.0, "random": 20.0}}
    found = verdict(RunData("r", rows=health("keep"), summary=summary, evaluation={"probes": probes(0.6, 0.4)}))
    assert found.mood == "good"
    assert found.sentence == (
        "The learner ended healthy; it foresees its sensors better than the best simple predictor at 1 and 5 ticks; "
        "it tells hidden state better than every null at 64 labels; the policy returns 80 beside 20 at random."
    )


@pytest.mark.parametrize(("learned", "null"), [(0.4, 0.6), (0.5, 0.5), (0.52, 0.5)])
def test_probes_are_better_only_when_intervals_are_apart(learned: float, null: float) -> None:
    found = verdict(RunData("r", evaluation={"probes": probes(learned, null)}))
    assert found.mood == "poor"
    assert found.sentence == "It does not tell hidden state better than every null."


def test_the_ceiling_is_no_null() -> None:
    assert verdict(RunData("r", evaluation={"probes": probes(0.6, 0.4)})).mood == "good"


def test_skill_whose_interval_holds_the_null_does_not_count() -> None:
    record = {"median": {"1": 0.2, "15": 0.05}, "interval": {"1": [0.1, 0.3], "15": [-0.1, 0.2]}}
    found = verdict(RunData("r", evaluation={"skill": {"clean": record}}))
    assert found.mood == "mixed"
    assert found.sentence.endswith("at 1 tick, not at 15.")


def test_skill_over_persistence_is_never_judged() -> None:
    assert verdict(RunData("r", summary={"forward_skill_over_persistence": {"1": 0.5}})).mood == "open"


def test_roll_backs_and_doubts_are_told() -> None:
    assert verdict(RunData("r", rows=health("keep", "roll_back", "keep"), summary={"seed": 0})).sentence == (
        "The learner ended healthy after 1 roll-back."
    )
    assert (
        verdict(RunData("r", rows=health("keep", "nothing"), summary={"seed": 0})).sentence
        == "The learner ended in doubt."
    )
    assert verdict(RunData("r", rows=health("roll_back", "keep"), summary={"seed": 0})).mood == "mixed"
    assert verdict(RunData("r", rows=health("keep", "roll_back"), summary={"seed": 0})).mood == "poor"


def test_a_run_that_has_not_ended_is_not_judged() -> None:
    found = verdict(RunData("r", rows=health("keep")))
    assert found.mood == "open"
    assert "not come to its end" in found.sentence
