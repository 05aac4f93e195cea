# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
import mujoco
import numpy as np

from embodied_envs.native_history import NativeHistory
from embodied_envs.robots.runner import ROBOT, build_runner
from embodied_envs.simulation import Simulation

CAPTURE_SUBSTEPS = [2, 4, 7, 9]  # 80 Hz samples of one 20 Hz tick, on the 5 ms grid


def _simulation(num_lanes: int) -> Simulation:
    simulation = Simulation(ROBOT, num_lanes, 1)
    generators = [np.random.default_rng(lane) for lane in range(num_lanes)]
    simulation.reset(np.ones(num_lanes, bool), generators)
    return simulation


def _reference(simulation: Simulation, lane: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The lane's robot with plain sensors, computed in every substep."""
    spec = build_runner()
    for sensor in spec.sensors:
        sensor.nsample, sensor.interval = 0, [0, 0]
    model = spec.compile()
    for name in ROBOT.lane_fields:
        getattr(model, name)[:] = simulation.batch.expand(name)[lane]
    data = mujoco.MjData(model)
    mujoco.mj_setConst(model, data)
    mujoco.mj_resetData(model, data)
    for name in ("qpos", "qvel", "qacc_warmstart"):
        getattr(data, name)[:] = simulation.batch.bind(name)[lane]
    return model, data


def _substeps(model: mujoco.MjModel, data: mujoco.MjData, action: np.ndarray) -> np.ndarray:
    data.ctrl[:] = action
    rows = []
    for _ in range(10):
        mujoco.mj_step(model, data)
        rows.append(data.sensordata.copy())
    return np.array(rows)


def test_native_history_is_the_substep_reference(make_envs, actions):
    envs = make_envs(3, episode_ticks=50)
    _, info = envs.reset(seed=0)
    lane = 1
    model, data = _reference(envs._simulation, lane)
    for action in actions[:40, :3]:
        _, _, _, _, info = envs.step(action)
        rows = _substeps(model, data, action[lane].astype(np.float64))
        clean = {key: values[lane] for key, values in info["clean"].items()}
        imu = {name: rows[CAPTURE_SUBSTEPS][:, _columns(model, name)] for name in ("accelerometer", "gyro")}
        np.testing.assert_allclose(clean["accelerometer"], imu["accelerometer"][:, [0, 2]], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(clean["gyro"], imu["gyro"][:, [1]], rtol=1e-5, atol=1e-4)
        touch = [rows[:, _columns(model, name)].mean() for name in ("back_touch", "front_touch")]
        np.testing.assert_allclose(clean["touch"], touch, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(clean["joint_pos"], data.qpos[3:], rtol=1e-5, atol=1e-5)


def _columns(model: mujoco.MjModel, name: str) -> list[int]:
    sensor = model.sensor(name)
    return list(range(sensor.adr[0], sensor.adr[0] + sensor.dim[0]))


def test_ring_layout_is_what_the_engine_reads():
    simulation = _simulation(2)
    action = np.full((2, 6), 0.3)
    for _ in range(5):
        simulation.step(np.ones(2, bool), action)
    data = simulation.batch.get_data(1)
    for name in ("accelerometer", "gyro", "back_touch"):
        times, samples = NativeHistory(simulation.batch, (name,)).read()
        sensor = simulation.model.sensor(name)
        for time, sample in zip(times[1], samples[1], strict=True):
            result = np.zeros(sensor.dim[0])
            found = mujoco.mj_readSensor(simulation.model, data, sensor.id, time, result, 0)
            np.testing.assert_array_equal(sample, result if found is None else found)


def test_ages_and_validity_over_a_whole_episode(make_envs):
    envs = make_envs(2, episode_ticks=300)
    observation, _ = envs.reset(seed=0)
    action = np.zeros((2, 6))
    for key in ("accelerometer", "gyro"):
        assert not observation[f"{key}.valid"].any()
        assert (observation[key] == 0).all()
    assert (observation["touch.age_s"] == 0).all()
    for _ in range(300):
        observation = envs.step(action)[0]
        for key in ("accelerometer", "gyro"):
            np.testing.assert_allclose(observation[f"{key}.age_s"], [[0.04, 0.03, 0.015, 0.005]] * 2, atol=1e-6)
            assert observation[f"{key}.valid"].all()
        np.testing.assert_allclose(observation["touch.age_s"], 0.005)


def test_rates_are_what_metadata_declares(make_envs):
    """Count new rows by the reader's rule: captured later than the newest row seen so far."""
    envs = make_envs(1, episode_ticks=100, cameras=True)
    observation, _ = envs.reset(seed=0)
    sensors, control_hz = envs.metadata["sensors"], envs.metadata["control_hz"]
    newest, counts = dict.fromkeys(sensors, -np.inf), dict.fromkeys(sensors, 0)
    for tick in range(1, 81):
        observation = envs.step(np.zeros((1, 6)))[0]
        for key in sensors:
            ages = np.atleast_1d(observation.get(f"{key}.age_s", np.zeros(1))[0])
            captures = tick / control_hz - ages
            counts[key] += int((captures > newest[key] + 1e-6).sum())
            newest[key] = max(newest[key], captures.max())
    # Over 4 s; the camera's frame of tick 0 was still held at tick 1, and counts here.
    assert counts == {"joint_pos": 80, "accelerometer": 320, "gyro": 320, "touch": 80, "camera": 11}
    assert {key: sensors[key]["rate_hz"] for key in sensors} == {
        "joint_pos": 20.0, "accelerometer": 80.0, "gyro": 80.0, "touch": 20.0, "camera": 2.5,
    }  # fmt: skip


def test_noise_has_the_declared_spread_and_is_unbiased(make_envs):
    envs = make_envs(8, episode_ticks=200)
    envs.reset(seed=0)
    errors = {"joint_pos": [], "accelerometer": [], "gyro": [], "touch": []}
    for _ in range(150):
        observation, _, _, _, info = envs.step(np.zeros((8, 6)))
        for key in errors:
            unclipped = info["clean"][key] > 10.0 if key == "touch" else np.ones_like(info["clean"][key], bool)
            errors[key].append((observation[key] - info["clean"][key])[unclipped])
    for key, parts in errors.items():
        noise, std = np.concatenate(parts), envs.metadata["sensors"][key]["noise_std"]
        assert abs(noise.std() / std - 1) < 0.05, key
        assert abs(noise.mean()) < 0.08 * std, key


def test_readings_stay_inside_the_declared_range(make_envs, actions):
    envs = make_envs(8, episode_ticks=200)
    envs.reset(seed=0)
    for action in np.concatenate([np.sign(actions)] * 2):
        observation, *_ = envs.step(action)
        assert envs.observation_space.contains(observation)


def test_touch_reacts_to_the_feet():
    """Standing, the feet carry the weight; in the air they feel nothing."""
    simulation = _simulation(2)
    batch, everyone = simulation.batch, np.ones(2, bool)
    for _ in range(60):
        simulation.step(everyone, np.zeros((2, 6)))
    feet = NativeHistory(batch, ("back_touch", "front_touch"))
    standing = feet.mean()
    weight_n = 9.81 * batch.expand("body_mass").sum(axis=1)
    assert (standing > 5.0).all()
    np.testing.assert_allclose(standing.sum(axis=1), weight_n, rtol=0.1)
    simulation.qpos[:, 1] += 1.0
    simulation.step(everyone, np.zeros((2, 6)))
    assert (feet.mean() == 0).all()


def test_touch_noise_is_two_percent_of_the_body_weight():
    weight_n = 9.81 * build_runner().compile().body_mass.sum()
    touch = next(sensor for sensor in ROBOT.sensors if sensor.key == "touch")
    np.testing.assert_allclose(touch.noise_std, 0.02 * weight_n, rtol=0.02)
