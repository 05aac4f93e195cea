import pytest

from embodied_ssl import config_flags
from embodied_ssl.config import Config, EnvConfig, EvaluationConfig, LearnerConfig
from embodied_ssl.config_flags import check_resume, parse_overrides
from embodied_ssl.errors import ConfigError


def parse(*argv: str, config: Config | None = None) -> Config:
    return parse_overrides(config or Config(), argv)


def test_no_flags_change_nothing():
    config = Config(name="x", env=EnvConfig(kwargs={"odd": [None, {"a": 1}]}), objectives={"mine": {"f": "g"}})
    assert parse(config=config) == config


def test_flags_win_over_the_file_and_leave_the_rest():
    config = Config(seed=7, learner=LearnerConfig(lr=0.5, batch_size=128))
    assert parse("--learner.lr", "1e-4", config=config) == Config(
        seed=7, learner=LearnerConfig(lr=1e-4, batch_size=128)
    )


@pytest.mark.parametrize("words", [["--env.num-lanes", "4"], ["--env.num_lanes=4"]])
def test_both_spellings(words):
    assert parse(*words).env.num_lanes == 4


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--evaluation.no-enabled"], False),
        (["--evaluation.no_enabled"], False),
        (["--evaluation.enabled", "false"], False),
        (["--evaluation.enabled=true"], True),
        (["--evaluation.enabled"], True),
    ],
)
def test_switches(words, value):
    assert parse(*words, config=Config(evaluation=EvaluationConfig(enabled=not value))).evaluation.enabled is value


def test_lists_text_that_looks_like_numbers_and_choices():
    config = parse("--sinks", "jsonl", "wandb", "--name", "3", "--agent.name", "none", "--seed", "3")
    assert (config.sinks, config.name, config.agent.name, config.seed) == (["jsonl", "wandb"], "3", "none", 3)


def test_open_tables():
    config = parse(
        *("--objectives.spread.weight", "1e-3"),
        *("--objectives.temporal-contrast", "null"),
        *("--objectives.mine", "{weight: 2, k: [1, 2]}"),
        *("--env.kwargs.camera.size", "32"),
        *("--env.kwargs.name", "fast"),
    )
    assert config.objectives["spread"] == {"weight": 1e-3}
    assert config.objectives["mine"] == {"weight": 2, "k": [1, 2]}
    assert "temporal_contrast" not in config.objectives
    assert config.env.kwargs == {"camera": {"size": 32}, "name": "fast"}


def test_open_tables_do_not_change_the_config_they_start_from():
    config = Config()
    parse("--objectives.spread.weight", "9", "--env.kwargs.a", "1", config=config)
    assert config == Config()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--learner.lrr 1",
            "--learner.lrr is not an option; did you mean --learner.lr? allowed in learner: batch_size,",
        ),
        ("--learner 1", "--learner is a section, not an option"),
        ("--lr 1", "did you mean --learner.lr?"),
        ("--learner.lr", "--learner.lr takes one value, got nothing; for example --learner.lr 0.001"),
        ("--learner.lr 1 2", "--learner.lr takes one value, got 1 2"),
        ("--learner.lr abc", "--learner.lr is 'abc', expected a finite number"),
        ("--learner.lr -1", "learner.lr is -1.0, expected a positive number"),
        ("--learner.batch-size 63", "learner.batch_size is 63, expected a multiple"),
        ("--seed 1.5", "--seed is 1.5, expected a whole number"),
        ("--env.num_lanes true", "--env.num_lanes is True, expected a whole number"),
        ("--synchronous maybe", "--synchronous is 'maybe', expected true or false"),
        ("--synchronous true false", "--synchronous is"),
        ("--no-seed", "--no_seed is not an option"),
        ("--agent.name saac", "--agent.name is 'saac'; did you mean 'sac'?"),
        ("--seed 1 --seed 2", "--seed is given twice"),
        ("stray", "unexpected word 'stray'"),
        ("--objectives spread", "--objectives is a table"),
        ("--objectives.spread 3", "--objectives.spread is 3, expected a table"),
        ("--objectives.spread.weight.x 1", "'weight' already holds 0.01"),
        ("--env.kwargs.a", "--env.kwargs is a table"),
    ],
)
def test_every_mistake_is_one_line(words, message, capsys):
    with pytest.raises(ConfigError) as caught:
        parse(*words.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_every_option_can_be_set_to_its_default():
    """What the flags accept and what tyro accepts must not drift apart."""
    for key in config_flags.options():
        if key in config_flags.OPEN_KEYS:
            continue
        value = config_flags._example(key)
        words = value if isinstance(value, list) else [str(value).lower() if isinstance(value, bool) else str(value)]
        assert parse(f"--{key}", *words) == Config(), key


def test_a_complaint_of_tyro_becomes_one_line():
    with pytest.raises(ConfigError, match=r"[Uu]nrecognized options: --nothing") as caught:
        config_flags._run_tyro(Config(), [["--nothing"]], "train")
    assert "\n" not in str(caught.value)


def test_help_lists_options_and_ends_well(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    assert "--learner.lr FLOAT" in capsys.readouterr().out


def test_a_resumed_run_may_be_longer_but_not_another():
    check_resume(Config(), Config(env_steps=50_000, evaluation=EvaluationConfig(enabled=False)))
    with pytest.raises(ConfigError, match=r"seed cannot change on --resume .*allowed: env_steps"):
        check_resume(Config(), Config(seed=1))
