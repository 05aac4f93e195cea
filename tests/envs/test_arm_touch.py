# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
import mujoco
import numpy as np
import pytest
from arms import SUBSTEPS, Arms, still

from embodied_envs.native_history import NativeHistory
from embodied_envs.robots import arm_scripts
from embodied_envs.robots.arm import PICK, PUSH, REACH, lifted_height
from embodied_envs.robots.arm_gripper import FINGER_AT_M, GRIP_AT_M, SKIN_HALF_M, TAXELS
from embodied_envs.robots.arm_privileged import finger_forces, grip_axes, grip_position

GRAVITY = 9.81


def _holding(num_lanes: int = 6) -> Arms:
    arms = Arms(PICK, num_lanes)
    arms.play(arm_scripts.pick_action, 90)
    assert (lifted_height(arms.batch) > 0.05).all()
    return arms


@pytest.mark.parametrize("robot", [REACH, PUSH, PICK], ids=lambda robot: robot.name)
def test_the_wrist_feels_the_weight_of_the_hand(robot):
    arms = Arms(robot, 4)
    arms.play(still, 40)
    history = NativeHistory(arms.batch, ("wrist_force",)), NativeHistory(arms.batch, ("wrist_torque",))
    force, torque = (sensor.read()[1][:, -1] for sensor in history)
    for lane in range(4):
        model, data = arms.batch.get_model(lane), arms.batch.get_data(lane)
        mujoco.mj_forward(model, data)
        hand, to_world = model.body("hand").id, data.site("wrist_ft").xmat.reshape(3, 3)
        weight = np.array([0.0, 0.0, GRAVITY * model.body_subtreemass[hand]])
        lever = data.subtree_com[hand] - data.site("wrist_ft").xpos
        assert to_world @ force[lane] == pytest.approx(weight, abs=0.05)
        assert to_world @ torque[lane] == pytest.approx(np.cross(lever, weight), abs=0.01)


def test_pressing_on_the_table_is_felt_at_the_wrist_and_goes_no_further():
    arms = Arms(REACH, 4)
    rest = arms.batch.bind("qpos").copy()
    arms.play(lambda batch: arm_scripts.steer(batch, np.tile([0.45, 0.0, -0.05], (4, 1)), np.zeros(4)), 60)
    assert (grip_position(arms.batch)[:, 2] > 0.0).all()
    assert (finger_forces(arms.batch).sum(axis=1) > 5.0).all()
    pushed = NativeHistory(arms.batch, ("wrist_force",)).read()[1][:, -1, 2]
    weight = GRAVITY * (0.5 + arms.privileged()["payload_kg"][:, 0])
    assert (pushed + weight > 3.0).all(), "the table carries the hand, and more"
    assert np.abs(arms.batch.bind("ctrl")[:, :6] - arms.batch.bind("qpos")[:, :6]).max() <= 0.2 + 0.05
    assert not np.allclose(rest, arms.batch.bind("qpos"))


def test_fingertips_feel_nothing_before_the_grasp_and_the_box_during_it():
    arms = Arms(PICK, 6)
    arms.play(arm_scripts.pick_action, 8)
    assert not finger_forces(arms.batch).any()
    assert not arms.images("left").any()
    assert not arms.images("right").any()
    arms.play(arm_scripts.pick_action, 82)
    for side in ("left", "right"):
        assert (arms.images(side)[..., 0].max(axis=(1, 2)) > 0.3).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_touched_taxels_lie_where_the_engine_has_its_contacts(side):
    arms = _gripping_off_centre(np.array([[0.006, 0.016], [-0.006, 0.016], [0.006, -0.016], [-0.006, -0.016]]))
    images = arms.images(side)
    pitch = 2 * np.array(SKIN_HALF_M) / TAXELS
    for lane in range(arms.num_lanes):
        model, data = arms.batch.get_model(lane), arms.batch.get_data(lane)
        mujoco.mj_forward(model, data)
        low, high = _contact_extent(model, data, side)
        touched = images[lane, :, :, 0] > 0
        assert not touched[~_taxels_between(low - pitch, high + pitch)].any()
        assert touched[_taxels_between(low + pitch, high - pitch)].all()
        assert 0.1 < touched.mean() < 0.6


def _gripping_off_centre(offsets_m: np.ndarray) -> Arms:
    """Closes on a box put between the fingers, off their middle: across them and along them, [lane, 2]."""
    arms = Arms(PICK, len(offsets_m))
    qpos, half_m = arms.batch.bind("qpos"), arms.batch.expand("geom_size")[:, arms.batch.model.geom("object").id, 1]
    for lane, (across, along) in enumerate(offsets_m):
        axes = grip_axes(arms.batch)[lane]
        mujoco.mju_mat2Quat(qpos[lane, 11:15], axes.ravel())
        qpos[lane, 8:11] = grip_position(arms.batch)[lane] + axes @ [across, 0.0, along]
    qpos[:, 6:8] = half_m[:, None] + 0.0005
    arms.batch.bind("ctrl")[:, 6] = 0.0
    arms.batch.expand("actuator_delay")[:] = 0.0  # before a late command arrived, the box would have fallen
    for _ in range(10):
        arms.batch.step(nstep=SUBSTEPS, stage=PICK.stage)
    assert (finger_forces(arms.batch) > 5.0).all()
    return arms


def _taxels_between(low_m: np.ndarray, high_m: np.ndarray) -> np.ndarray:
    """Mask [row, column] of the taxels inside a rectangle on the skin."""
    inside = []
    for i, (half, count) in enumerate(zip(SKIN_HALF_M, TAXELS, strict=True)):
        centres = half * (2 * np.arange(count) + 1 - count) / count
        inside.append((centres > low_m[i]) & (centres < high_m[i]))
    return np.logical_and.outer(*inside)


def _contact_extent(model, data, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Corners (along the finger, across it) in m of the box's contacts with a pad, from the skin's middle."""
    pad, box, finger = model.geom(f"{side}_pad").id, model.geom("object").id, data.body(f"{side}_finger")
    points = [c.pos for c in data.contact[: data.ncon] if {int(c.geom1), int(c.geom2)} == {pad, box}]
    assert points
    local = (np.array(points) - finger.xpos) @ finger.xmat.reshape(3, 3)
    along, across = local[:, 2] - (GRIP_AT_M - FINGER_AT_M), -local[:, 0]
    return np.array([along.min(), across.min()]), np.array([along.max(), across.max()])


def test_a_firmer_grip_indents_deeper():
    arms, depths, forces = _holding(), [], []
    opening = arms.batch.bind("qpos")[:, 6].copy()
    for press_m in (0.004, 0.008, 0.016):
        for _ in range(15):
            arms.batch.bind("ctrl")[:, 6] = opening - press_m
            arms.batch.step(nstep=SUBSTEPS, stage=PICK.stage)
        depths.append(arms.images("left")[..., 0].sum(axis=(1, 2)))
        forces.append(finger_forces(arms.batch).min(axis=1))
    assert (lifted_height(arms.batch) > 0.05).all()
    for softer, firmer in zip(range(2), range(1, 3), strict=True):
        assert (forces[firmer] > 1.3 * forces[softer]).all()
        assert (depths[firmer] > 1.1 * depths[softer]).all()
