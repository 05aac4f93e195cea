# pyright: reportAttributeAccessIssue=false
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from embodied_envs.distractors.bodies import Bodies
from embodied_envs.distractors.camera_mount import CameraMount, quaternions
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.distractors.lane_draws import LaneDraws, normals
from embodied_envs.distractors.videos import NUM_FRAMES, VideoBank
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.robots.runner import ROBOT, build_runner

DIFFICULTIES = list(SCALES)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_colours_stay_within_their_scale_and_move(make_envs, actions, difficulty):
    envs = make_envs(4, distractors=["colour"], difficulty=difficulty, episode_ticks=1000)
    batch, scale = envs._simulation.batch, SCALES[difficulty]
    original = np.array(batch.model.geom_rgba)
    envs.reset(seed=0)
    start = np.array(batch.expanded("geom_rgba"))
    for action in actions[:, :4]:
        envs.step(action)
    colours = np.array(batch.expanded("geom_rgba"))
    for values in (start, colours):
        assert np.abs(values - original).max() <= scale + 1e-6
        assert values.min() >= 0.0
        assert values.max() <= 1.0
    np.testing.assert_array_equal(colours[..., 3], np.broadcast_to(original[:, 3], colours.shape[:2]))
    steps = np.abs(colours - start)[..., :3]
    walked = 0.03 * scale * np.sqrt(len(actions))
    ground = batch.model.geom("ground").id
    assert 0.3 * walked < np.delete(steps, ground, axis=1).mean() < 1.2 * walked
    assert not steps[:, ground].any()  # its material's colour walks instead
    assert (np.abs(start - original) > 0.6 * scale).any()


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_camera_stays_within_its_limits_and_looks_at_the_robot(make_envs, actions, difficulty):
    envs = make_envs(4, distractors=["camera"], difficulty=difficulty, episode_ticks=1000, cameras=True)
    batch, scale = envs._simulation.batch, SCALES[difficulty]
    mount = CameraMount(batch.model, 0)
    axis0, target = batch.model.cam_mat0[0].reshape(3, 3)[:, 2], mount._target()
    _, info = envs.reset(seed=0)
    walks, distances = [], []
    for action in actions[:, :4]:
        batch.forward(stage=mujoco.mjtStage.mjSTAGE_POS)
        position, pose = batch.expanded("cam_pos0")[:, 0], batch.expanded("cam_mat0")[:, 0].reshape(-1, 3, 3)
        to_target = target - position
        distance = np.linalg.norm(to_target, axis=1)
        np.testing.assert_allclose(-pose[:, :, 2], to_target / distance[:, None], atol=1e-6)
        np.testing.assert_allclose(batch.bind("cam_xmat")[:, 0].reshape(-1, 3, 3), pose, atol=1e-6)
        assert (np.arccos(np.clip(pose[:, :, 2] @ axis0, -1, 1)) <= np.pi / 2 * scale * np.sqrt(2) + 1e-9).all()
        assert (batch.bind("cam_xpos")[:, 0, 2] > 0.05).all()
        distances.append(distance / mount.distance_m)
        walks.append(info["privileged"]["camera_motion"])
        _, _, _, _, info = envs.step(action)
    walks, distances = np.array(walks), np.array(distances)
    assert np.abs(walks[..., :3]).max() <= np.pi / 2 * scale + 1e-6
    assert 1 - 0.5 * scale - 1e-6 <= distances.min() < distances.max() <= 1 + 1.5 * scale + 1e-6
    speed = np.abs(np.diff(walks[..., :3], axis=0))
    assert 0 < speed.max() <= 0.4 * scale / 4 + 1e-6


def test_a_camera_on_a_moving_body_only_turns():
    spec = mujoco.MjSpec.from_string("""
        <mujoco><worldbody><body pos="0 0 1"><freejoint/><geom size=".1"/><camera name="eye" pos=".1 0 0"/></body>
        </worldbody></mujoco>""")
    mount = CameraMount(spec.compile(), 0)
    position, axes = mount.displaced(np.array([[0.2, -0.1, 0.3], [0.0, 0.0, 0.0]]), np.array([1.2, 1.0]))
    assert not mount.orbits
    np.testing.assert_allclose(position, [[0.1, 0, 0]] * 2)
    np.testing.assert_allclose(axes[1], np.eye(3), atol=1e-12)
    assert np.arccos(axes[0, 2, 2]) == pytest.approx(np.hypot(0.2, 0.1), abs=0.01)


def test_quaternions_are_those_of_the_engine():
    generator, expected = np.random.default_rng(0), np.empty(4)
    sources = generator.standard_normal((200, 4)) * generator.choice([0.0, 1.0], (200, 4), p=[0.3, 0.7]) + 1e-9
    for source in sources / np.linalg.norm(sources, axis=1, keepdims=True):
        matrix = np.empty(9)
        mujoco.mju_quat2Mat(matrix, source)
        mujoco.mju_mat2Quat(expected, matrix)
        (found,) = quaternions(matrix.reshape(1, 3, 3))
        assert abs(found @ expected) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_light_stays_within_its_limits(make_envs, actions, difficulty):
    envs = make_envs(4, distractors=["light"], difficulty=difficulty, episode_ticks=1000)
    batch, scale = envs._simulation.batch, SCALES[difficulty]
    direction, diffuse = batch.model.light_dir[0], batch.model.light_diffuse[0]
    envs.reset(seed=0)
    angles, gains = [], []
    for action in actions[:, :4]:
        envs.step(action)
        own = batch.expanded("light_dir")[:, 0]
        angles.append(
            np.arccos(np.clip(own @ direction / np.linalg.norm(own, axis=1) / np.linalg.norm(direction), -1, 1))
        )
        gains.append(batch.expanded("light_diffuse")[:, 0] / diffuse)
    assert 0.1 * scale < np.max(angles) <= np.pi / 2 * scale * np.sqrt(2) + 1e-6
    assert 1 - 2 * scale - 1e-6 <= np.min(gains) < 1 < np.max(gains) <= 1 + 2 * scale + 1e-6


def test_light_needs_a_light(make_envs):
    with pytest.raises(ValueError, match="robot without lights"):
        make_envs(1, robot=_changed_runner(lambda spec: spec.delete(spec.lights[0])), distractors=["light"])


def _changed_runner(change) -> RobotSpec:
    def build() -> mujoco.MjSpec:
        spec = build_runner()
        change(spec)
        return spec

    return replace(ROBOT, build=build)


def test_backgrounds_move_and_leave_the_robot_and_the_ground_alone(make_envs, actions):
    covering = {"background": {"ground": "cover"}}
    plain, kept, covered = (
        _first_and_ninth(make_envs(2, cameras=True, episode_ticks=1000, distractors=asked), actions)
        for asked in ((), ["background"], covering)
    )
    empty = np.logical_not(plain.any(axis=-1))
    np.testing.assert_array_equal(kept[~empty], plain[~empty])
    assert kept[empty].any(axis=-1).mean() > 0.9
    assert (kept[0, 0][empty[0, 0]] != kept[1, 0][empty[0, 0]]).any()
    assert (covered != kept).any(axis=-1).mean() > 0.3
    orange = np.asarray(plain[..., 0].astype(int) - plain[..., 2] > 80)  # a leg
    np.testing.assert_array_equal(covered[orange], plain[orange])


def _first_and_ninth(envs, actions) -> np.ndarray:
    """Return the pictures [2, lane, height, width, 3] after a reset and eight steps later."""
    frames = [envs.reset(seed=0)[0]["camera"]] + [envs.step(action)[0]["camera"] for action in actions[:8, :2]]
    return np.array([frames[0], frames[-1]])


def test_episodes_take_videos_of_their_own_from_a_bank_that_grows_with_difficulty(make_envs):
    for difficulty, num_videos in (("easy", 4), ("medium", 8), ("hard", 32)):
        envs = make_envs(200, distractors=["background"], difficulty=difficulty)
        _, info = envs.reset(seed=0)
        videos = info["privileged"]["background_video"]
        assert set(np.unique(videos)) <= set(range(num_videos))
        assert len(np.unique(videos)) > 0.9 * num_videos


def test_videos_are_seeded_and_smooth():
    bank = VideoBank(0, 3)
    for index in range(3):
        video = _video(bank, index)
        assert video.shape == (NUM_FRAMES, 24, 32, 3)
        np.testing.assert_array_equal(video, _video(VideoBank(0, 3), index))
        assert (video != _video(VideoBank(1, 3), index)).any()
        assert video.astype(float).std() > 10
        change = np.abs(np.diff(video.astype(float), axis=0)).mean()
        assert 0.2 < change < 0.5 * video.astype(float).std()


def _video(bank: VideoBank, index: int) -> np.ndarray:
    """Return all frames [frame, 24, 32, 3] of one video."""
    return np.array([bank.frame(index, number, 24, 32) for number in range(NUM_FRAMES)])


def test_large_videos_look_like_small_ones_and_cost_little_memory():
    bank, small_bank = VideoBank(0, 32), VideoBank(0, 32)
    for index in range(3):
        large, small = bank.frame(index, 30, 480, 640), small_bank.frame(index, 30, 48, 64)
        assert large.shape == (480, 640, 3)
        assert large.dtype == np.uint8
        pooled = large.reshape(48, 10, 64, 10, 3).mean(axis=(1, 3))
        assert np.abs(pooled - small).mean() < 6.0
    most = max(video.nbytes for video in bank._videos.values())
    assert 32 * most < 80e6


@pytest.mark.parametrize(("difficulty", "count"), [("easy", 2), ("medium", 4), ("hard", 6)])
def test_bodies_wander_in_view_and_touch_nothing(make_envs, actions, difficulty, count):
    envs = make_envs(
        3, distractors=["bodies"], difficulty=difficulty, cameras=True, episode_ticks=1000,
        camera_kinds=("rgb", "segmentation"),
    )  # fmt: skip
    model, batch = envs._simulation.model, envs._simulation.batch
    added = [body for body in range(model.nbody) if model.body(body).name.startswith("distractor_body")]
    assert len(added) == model.nmocap == count
    observation, _ = envs.reset(seed=0)
    seen = np.zeros((3, model.nbody), bool)
    places = []
    for action in actions[:40, :3]:
        observation, *_ = envs.step(action)
        places.append(batch.bind("mocap_pos").copy())
        for lane in range(3):
            seen[lane, np.unique(observation["camera_segmentation"][lane])] = True
        root_x = batch.bind("qpos")[:, None, :1]
        assert (np.abs(places[-1][..., :1] - root_x) < 1.5).all()
        assert (places[-1][..., 2] > 0).all()
    assert seen[:, added].mean() > 0.6
    steps = np.linalg.norm(np.diff(places, axis=0), axis=-1)
    assert 0.002 < np.median(steps) < 0.2
    assert not model.geom_contype[np.isin(model.geom_bodyid, added)].any()


def test_bodies_need_a_camera():
    with pytest.raises(ValueError, match="robot without cameras"):
        Bodies().edit(mujoco.MjSpec.from_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>"))


def test_draws_of_a_lane_are_its_generators_whatever_the_others_do():
    def generators():
        return [np.random.default_rng(lane) for lane in range(3)]

    draws, steady = LaneDraws(3, 2, normals), generators()
    taken = [draws.next(np.array([True, tick % 2 == 0, tick > 50]), steady) for tick in range(80)]
    expected = np.random.default_rng(0).standard_normal((96, 2))[:80]
    np.testing.assert_array_equal([values[0] for values in taken], expected)
    np.testing.assert_array_equal(
        [values[1] for values in taken[::2]], np.random.default_rng(1).standard_normal((64, 2))[:40]
    )
    assert not np.any([values[1] for values in taken[1::2]])
