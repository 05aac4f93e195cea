import pytest

from embodied_envs.distractors import DISTRACTORS, make_distractors
from embodied_envs.distractors.base import Distractor


def test_names_mappings_and_lists_of_both():
    assert [d.name for d in make_distractors(["background", "colour"])] == ["background", "colour"]
    assert [d.name for d in make_distractors({"light": {}, "spurious": {"corr": 0.9}})] == ["light", "spurious"]
    assert [d.name for d in make_distractors(["camera", {"stuck": {"sensor": "touch"}}])] == ["camera", "stuck"]
    assert make_distractors(()) == ()


def test_every_name_makes_a_distractor_that_knows_its_name_and_options():
    for name in DISTRACTORS:
        (distractor,) = make_distractors([name], "hard")
        assert isinstance(distractor, Distractor)
        assert distractor.name == name
        assert distractor.options == {"difficulty": "hard"}
    (own,) = make_distractors({"colour": {"difficulty": "medium"}}, "hard")
    assert own.options == {"difficulty": "medium"}


@pytest.mark.parametrize(
    ("asked", "difficulty", "message"),
    [
        (["colur"], "easy", "got distractor 'colur'; did you mean 'colour'"),
        ("colour", "easy", r"expected a list of names; fix: \['colour'\]"),
        (["colour", "colour"], "easy", "twice"),
        (["colour"], "hrad", "got difficulty 'hrad'; did you mean 'hard'"),
        ({"shift": {"wat": 1}}, "easy", "no option 'wat'; did you mean 'what'"),
        ({"shift": {"what": "payloads"}}, "easy", "did you mean 'payload'"),
        ({"shift": {"at_step": -1}}, "easy", "at_step=-1, expected a whole number, at least 0"),
        ({"shift": {"at_step": 2.5}}, "easy", "at_step=2.5, expected a whole number"),
        ({"shift": {"at_step": "soon"}}, "easy", "at_step='soon', expected a whole number"),
        ({"shift": {"scale": 0.0}}, "easy", "expected a finite factor above 0"),
        ({"shift": {"scale": float("inf")}}, "easy", "scale=inf, expected a finite factor"),
        ({"shift": {"scale": float("nan")}}, "easy", "scale=nan, expected a finite factor"),
        ({"shift": {"scale": "half"}}, "easy", "scale='half', expected a finite factor"),
        ({"spurious": {"corr": 1.5}}, "easy", r"expected a correlation in \[-1, 1\]"),
        ({"spurious": {"split": "tset"}}, "easy", "did you mean 'test'"),
        ({"background": {"ground": "hide"}}, "easy", "expected 'keep' or 'cover'"),
        ({"spurious": {"index": 0.5}}, "easy", "index=0.5, expected a whole number"),
        ({"lagged": {"ticks": 0}}, "easy", "ticks=0, expected a whole number, at least 1"),
        ({"lagged": {"ticks": 1.5}}, "easy", "ticks=1.5, expected a whole number"),
        ({"lagged": {"ticks": True}}, "easy", "ticks=True, expected a whole number"),
    ],
)
def test_mistakes_end_in_one_line(asked, difficulty, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_distractors(asked, difficulty)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"stuck": {"sensor": "tuch"}}, "no vector sensor 'tuch'; did you mean 'touch'"),
        ({"dropped": {"sensor": "camera"}}, "no vector sensor 'camera'"),
        ({"spurious": {"factor": "giro"}}, "did you mean 'gyro'"),
        ({"spurious": {"factor": "gyro", "index": 1}}, "expected 0 to 0 for sensor 'gyro'"),
        ({"spurious": {"factor": "motor"}}, "got spurious factor='motor', but resets of 'Runner' draw none"),
        ({"shift": {"what": "payload", "part": "torsoo"}}, "did you mean 'torso'"),
        ({"shift": {"what": "motor", "part": "back_hop"}}, "did you mean 'back_hip'"),
    ],
)
def test_what_the_robot_does_not_have_ends_in_one_line(make_envs, asked, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_envs(1, distractors=asked)
    assert "\n" not in str(caught.value)
