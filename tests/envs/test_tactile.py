# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
import mujoco
import numpy as np
import pytest

from embodied_envs.tactile import (
    SOFT_PAD,
    Taxels,
    add_tactile_skin,
    flat_taxels,
    round_taxels,
    tactile_images,
    tactile_sensor,
)

SHAPE = (8, 6)
HALF_M = (0.012, 0.009)
TOP_M = 0.003
BALL_AT_M = (0.004, -0.003)
PITCH_M = 0.003


def _ball_on_pad(taxels: Taxels, geom: dict, top_m: float, ball_at_m=BALL_AT_M) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = 0.005
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    pad = spec.worldbody.add_body(name="pad")
    pad.add_geom(solref=SOFT_PAD, priority=1, **geom)
    add_tactile_skin(spec, pad, "skin", taxels, 20.0, 20.0)
    ball = spec.worldbody.add_body(name="ball", pos=[*ball_at_m, top_m + 0.02])
    ball.add_joint(name="z", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1], damping=1.0)
    ball.add_joint(name="x", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0])
    ball.add_joint(name="y", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0])
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.02, 0, 0], mass=0.1)
    return spec.compile()


def _flat_model() -> mujoco.MjModel:
    box = {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [*HALF_M, TOP_M]}
    return _ball_on_pad(flat_taxels(SHAPE, HALF_M).moved((0, 0, TOP_M), np.eye(3)), box, TOP_M)


def _image(model: mujoco.MjModel, push_n: float, slide_m_s=(0.0, 0.0)) -> tuple[np.ndarray, mujoco.MjData]:
    data = mujoco.MjData(model)
    data.qfrc_applied[0] = -push_n
    for _ in range(200):
        mujoco.mj_step(model, data)
    data.qvel[1:] = slide_m_s
    model.sensor_interval[:] = 0.0  # sample now, not at the next due time
    mujoco.mj_forward(model, data)
    return tactile_images(SHAPE, data.sensordata[None, None])[0, 0], data


def test_nothing_touches_nothing_is_felt():
    model = _flat_model()
    data = mujoco.MjData(model)
    data.qpos[0] = 0.01
    mujoco.mj_forward(model, data)
    assert not data.sensordata.any()


def test_depth_peaks_where_the_engine_reports_the_contact_and_rises_with_the_force():
    model = _flat_model()
    light, data = _image(model, 2.0)
    heavy, _ = _image(model, 6.0)
    peak = np.unravel_index(light[..., 0].argmax(), SHAPE)
    taxel = flat_taxels(SHAPE, HALF_M).positions_m[peak]
    assert data.ncon == 1
    assert np.abs(taxel[:2] - data.contact[0].pos[:2]).max() <= PITCH_M / 2 + 1e-9
    indentation_mm = -1e3 * data.contact[0].dist
    assert light[..., 0].max() == pytest.approx(indentation_mm, rel=0.1)
    assert 0.2 < indentation_mm < 3.0
    assert heavy[..., 0].sum() > 1.5 * light[..., 0].sum()


@pytest.mark.parametrize(("slide", "channel"), [((0.05, 0.0), 1), ((0.0, -0.05), 2)])
def test_sliding_along_either_axis_shows_in_its_channel_alone(slide, channel):
    image, _ = _image(_flat_model(), 3.0, slide)
    touched = image[..., 0] > 0
    assert image[touched, channel] == pytest.approx(5.0, rel=1e-3)
    assert image[touched, 3 - channel] == pytest.approx(0.0, abs=1e-3)
    assert not image[~touched].any()


def test_a_turned_skin_feels_along_its_own_axes():
    # The first axis is the body's y, the second its -x, the normal stays z.
    axes = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    box = {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [HALF_M[1], HALF_M[0], TOP_M]}
    taxels = flat_taxels(SHAPE, HALF_M).moved((0, 0, TOP_M), axes)
    image, _ = _image(_ball_on_pad(taxels, box, TOP_M), 3.0, (0.0, 0.05))
    row, column = np.unravel_index(image[..., 0].argmax(), SHAPE)
    assert np.abs(taxels.positions_m[row, column, :2] - BALL_AT_M).max() <= PITCH_M / 2 + 1e-9
    assert image[row, column, 1] == pytest.approx(5.0, rel=1e-3)


def test_a_round_skin_lies_on_the_capsule_and_feels_there():
    radius_m, half_length_m = 0.01, 0.012
    taxels = round_taxels(SHAPE, half_length_m, radius_m, 1.0)
    capsule = {
        "type": mujoco.mjtGeom.mjGEOM_CAPSULE,
        "fromto": [-half_length_m, 0, 0, half_length_m, 0, 0],
        "size": [radius_m, 0, 0],
    }
    assert np.hypot(taxels.positions_m[..., 1], taxels.positions_m[..., 2]) == pytest.approx(radius_m)
    image, _ = _image(_ball_on_pad(taxels, capsule, radius_m, (0.004, 0.0)), 3.0, (0.05, 0.0))
    row, column = np.unravel_index(image[..., 0].argmax(), SHAPE)
    assert abs(taxels.positions_m[row, column, 0] - 0.004) <= PITCH_M / 2 + 1e-9
    assert column in (SHAPE[1] // 2 - 1, SHAPE[1] // 2)
    assert image[row, column, 1] == pytest.approx(5.0, rel=0.02)


def test_the_skin_has_no_mass_and_is_not_drawn():
    model = _flat_model()
    skin = model.geom("skin").id
    box_mass = 8 * HALF_M[0] * HALF_M[1] * TOP_M * 1000
    assert model.body("pad").mass[0] == pytest.approx(box_mass)
    assert model.geom_rgba[skin, 3] == 0
    assert model.geom_contype[skin] == model.geom_conaffinity[skin] == 0


def test_the_manifest_has_rows_only_above_the_control_rate():
    assert tactile_sensor("skin", "skin", SHAPE, 20.0, 20.0).shape == (*SHAPE, 3)
    assert tactile_sensor("skin", "skin", SHAPE, 40.0, 20.0).shape == (2, *SHAPE, 3)


def test_images_are_in_millimetres_and_centimetres_per_second_taxels_last_but_one():
    samples = np.arange(3 * SHAPE[0] * SHAPE[1], dtype=float)[None, None] * 1e-3
    image = tactile_images(SHAPE, samples)
    assert image.shape == (1, 1, *SHAPE, 3)
    num_taxels = SHAPE[0] * SHAPE[1]
    assert image[0, 0, 1, 2] == pytest.approx([SHAPE[1] + 2, (num_taxels + 8) * 0.1, (2 * num_taxels + 8) * 0.1])
