import numpy as np

NUM_LANES = 32
TICKS = 100
# Found by a small random search: one sine per joint, with an amplitude, a phase in rad and an offset each.
GAIT_HZ = 2.39
AMPLITUDE = np.array([1.09, -0.08, 0.77, 0.68, 0.46, 0.67])
PHASE_RAD = np.array([1.46, -0.18, 0.63, 1.01, 0.7, -0.46])
OFFSET = np.array([0.14, -0.05, 0.19, -0.09, 0.29, -0.29])


def _mean_reward(envs, policy) -> np.ndarray:
    envs.reset(seed=1)
    return np.mean([envs.step(policy(tick))[1] for tick in range(1, TICKS + 1)], axis=0)


def test_it_stands_when_nothing_acts(make_envs):
    envs = make_envs(NUM_LANES, episode_ticks=300)
    _, info = envs.reset(seed=0)
    for _ in range(200):
        _, _, _, _, info = envs.step(np.zeros((NUM_LANES, 6)))
        assert not info["engine_fault"].any()
    privileged = info["privileged"]
    assert (np.abs(privileged["root_vel"]) < 0.1).all()
    assert (np.abs(privileged["root_pose"][:, 1]) < 0.2).all()
    assert (privileged["root_pose"][:, 0] > 0.4).all()
    assert privileged["contact"].all()


def test_full_torque_does_not_break_the_physics(make_envs):
    envs = make_envs(NUM_LANES, episode_ticks=300)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(150):
        _, _, _, _, info = envs.step(rng.choice([-1.0, 1.0], (NUM_LANES, 6)))
        assert not info["engine_fault"].any()


def test_a_scripted_gait_runs_forward_and_random_torques_do_not(make_envs):
    envs = make_envs(NUM_LANES, episode_ticks=TICKS)
    rng = np.random.default_rng(0)

    def gait(tick):
        action = AMPLITUDE * np.sin(2 * np.pi * GAIT_HZ * tick / 20.0 + PHASE_RAD) + OFFSET
        return np.tile(action, (NUM_LANES, 1))

    running = _mean_reward(envs, gait)
    flailing = _mean_reward(envs, lambda tick: rng.uniform(-1, 1, (NUM_LANES, 6)))
    assert running.mean() > 1.0
    assert flailing.mean() < 0.0
