# pyright: reportAttributeAccessIssue=false
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from embodied_envs.rendering import View, make_renderer, probe
from embodied_envs.robots.runner import ROBOT
from embodied_envs.simulation import Simulation

BACKENDS = ["egl", "osmesa", "ray"]
RGB = View("side", "rgb", 64, 64)
DEPTH = View("side", "depth", 64, 64)
BODIES = View("side", "segmentation", 64, 64)


def _need(backend: str) -> None:
    if backend != "ray" and not probe.gl_platform_works(backend):
        pytest.skip(f"no working {backend} library on this machine")


@pytest.fixture
def make() -> Iterator:
    """Makes renderers of the Runner's views and closes them afterwards."""
    made = []

    def make(backend: str, simulation: Simulation, views=(RGB, DEPTH, BODIES), **kwargs):
        _need(backend)
        made.append(make_renderer(backend, simulation.model, views, **kwargs))
        return made[-1]

    yield make
    for renderer in made:
        renderer.close()


def _simulation(num_lanes: int) -> Simulation:
    simulation = Simulation(ROBOT, num_lanes, 1)
    simulation.reset(np.ones(num_lanes, bool), [np.random.default_rng(lane) for lane in range(num_lanes)])
    return simulation


@pytest.mark.parametrize("backend", BACKENDS)
def test_camera_sees_the_robot_move(make_envs, actions, backend):
    _need(backend)
    envs = make_envs(2, cameras=True, camera_backend=backend, episode_ticks=40)
    assert envs.camera_backend == envs.metadata["camera_backend"] == backend
    frames = [envs.reset(seed=0)[0]["camera"]]
    frames += [envs.step(action)[0]["camera"] for action in actions[:16, :2]]
    assert frames[0].dtype == np.uint8
    assert _has_orange_and_blue(frames[0][0])
    changed = np.abs(frames[8].astype(int) - frames[0].astype(int)).max(axis=-1) > 20
    assert changed[0].mean() > 0.02
    assert (frames[8][0] != frames[8][1]).any()


def _has_orange_and_blue(frame: np.ndarray) -> bool:
    """The rear leg is orange, the front leg blue, and the front is to the right."""
    red, blue = frame[:, :, 0].astype(int), frame[:, :, 2].astype(int)
    orange = np.nonzero(red - blue > 80)[1]
    bluish = np.nonzero(blue - red > 80)[1]
    return orange.size > 10 and bluish.size > 10 and bluish.mean() > np.median(orange)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ground_passes_by(make, backend):
    """The same pose half a cell further on shows another ground; two cells further on the same ground."""
    simulation = Simulation(ROBOT, 3, 1)
    simulation.reset(np.ones(3, bool), [np.random.default_rng(0) for _ in range(3)])
    simulation.qpos[:, 0] = [0.1, 0.35, 1.1]
    (drawn,) = make(backend, simulation).render(simulation.batch, np.arange(3), [RGB])
    here, half, two = drawn.values.astype(int)
    assert np.abs(half - here).mean() > 3 * np.abs(two - here).mean() + 1


def test_back_ends_agree_on_colours(make):
    simulation = _simulation(1)
    frames = []
    for backend in ("egl", "ray"):
        (drawn,) = make(backend, simulation).render(simulation.batch, np.arange(1), [RGB])
        frames.append(drawn.values.astype(float).ravel())
    assert np.corrcoef(*frames)[0, 1] > 0.8


@pytest.mark.parametrize("preset", ["fast", "quality"])
def test_back_ends_agree_on_depth_and_bodies(make, preset):
    """Depth within 1 % on 98 % of the pixels that both see (edges differ); bodies at 98 % of all pixels."""
    simulation = _simulation(1)
    gl, ray = (
        make(backend, simulation, preset=used).render(simulation.batch, np.arange(1), [DEPTH, BODIES])
        for backend, used in (("egl", preset), ("ray", "fast"))
    )
    seen = np.isfinite(gl[0].values) & np.isfinite(ray[0].values)
    assert seen.mean() > 0.6
    assert (np.abs(gl[0].values[seen] / ray[0].values[seen] - 1.0) < 0.01).mean() > 0.98
    assert (gl[1].values == ray[1].values).mean() > 0.98
    assert set(np.unique(ray[1].values)) == set(range(simulation.model.nbody))
    for body in range(1, simulation.model.nbody):
        both, either = (
            ((gl[1].values == body) & (ray[1].values == body)),
            (gl[1].values == body) | (ray[1].values == body),
        )
        assert both.sum() > 0.75 * either.sum()


@pytest.mark.parametrize("backend", ["egl", "ray"])
def test_background_is_where_nothing_was_drawn(make, backend):
    simulation = _simulation(2)
    renderer = make(backend, simulation)
    rgb, depth = renderer.render(simulation.batch, np.arange(2), [RGB, DEPTH], with_background=True)
    np.testing.assert_array_equal(rgb.background, np.isinf(depth.values[..., 0]))
    assert not rgb.values[rgb.background].any()
    bare = make(backend, simulation, hide_ground=True)
    (without,) = bare.render(simulation.batch, np.arange(2), [RGB], with_background=True)
    assert without.background.mean() > 0.8
    assert (without.background | rgb.background | ~rgb.background).all()
    np.testing.assert_array_equal(bare.render(simulation.batch, np.arange(2), [DEPTH])[0].values, depth.values)


@pytest.mark.parametrize("backend", ["egl", "ray"])
def test_views_drawn_together_equal_views_drawn_alone(make, backend):
    simulation = _simulation(3)
    renderer = make(backend, simulation)
    together = renderer.render(simulation.batch, np.array([0, 2]), [RGB, DEPTH, BODIES])
    for view, frames in zip((RGB, DEPTH, BODIES), together, strict=True):
        alone = renderer.render(simulation.batch, np.array([2]), [view])[0]
        np.testing.assert_array_equal(alone.values[0], frames.values[1])


@pytest.mark.parametrize("backend", ["egl", "ray"])
def test_lanes_are_drawn_with_their_own_model_values(make, backend):
    simulation = Simulation(ROBOT, 4, 1)
    simulation.batch.forward()
    batch, renderer = simulation.batch, make(backend, simulation)
    (same,) = renderer.render(batch, np.arange(4), [RGB])
    assert (same.values == same.values[0]).all()
    torso = simulation.model.body("torso").geomadr[0]
    batch.expand("geom_rgba")[1, torso, :3] = [1.0, 0.0, 1.0]
    batch.expand("cam_fovy")[2] *= 0.5
    batch.expand("light_diffuse")[3] *= 0.5
    plain, magenta, near, dark = renderer.render(batch, np.arange(4), [RGB])[0].values.astype(int)
    np.testing.assert_allclose(plain, same.values[0], atol=6)  # ray: the light's direction is now the model's own
    assert (magenta[..., 1] < 60)[(magenta[..., 0] > 120)].any()
    assert np.abs(near - plain).mean() > 10
    assert dark.sum() < 0.9 * plain.sum()
    assert simulation.model.geom_rgba[torso, 1] > 0.5


def test_quality_draws_more_than_fast(make):
    simulation = _simulation(1)
    frames = [
        make("egl", simulation, preset=preset).render(simulation.batch, np.arange(1), [RGB])[0].values.astype(int)
        for preset in ("fast", "quality")
    ]
    below = np.s_[0, 45:, :]  # the ground around the feet: shadows make it darker
    assert frames[1][below].sum() < frames[0][below].sum()
    assert np.corrcoef(frames[0].ravel(), frames[1].ravel())[0, 1] > 0.95


def test_the_model_of_the_simulation_is_left_alone(make):
    simulation = _simulation(1)
    before = simulation.model.vis.quality.numslices, simulation.model.vis.global_.offwidth
    make("egl", simulation).render(simulation.batch, np.arange(1), [RGB])
    assert (simulation.model.vis.quality.numslices, simulation.model.vis.global_.offwidth) == before


@pytest.mark.parametrize("backend", ["egl", "ray"])
def test_geoms_of_every_kind_from_above(backend):
    """Depth is along the optical axis: a level top is equally far all over, wherever it lies in the picture."""
    _need(backend)
    model = mujoco.MjModel.from_xml_string("""
        <mujoco><worldbody>
          <camera name="top" pos="0 0 4" fovy="60"/>
          <light type="directional"/>
          <geom type="plane" size="9 9 1"/>
          <body name="ball" mocap="true" pos="-1 1 .3"><geom size=".3" rgba="1 0 0 1"/></body>
          <body name="box" pos="1 1 .3"><geom type="box" size=".3 .3 .3" rgba="0 1 0 1"/></body>
          <body name="can" pos="-1 -1 .3"><geom type="cylinder" size=".3 .3" rgba="0 0 1 1"/></body>
          <body name="hidden" pos="1 -1 .3"><geom type="box" size=".3 .3 .3" group="3"/></body>
        </worldbody></mujoco>""")
    batch = mujoco.batch.Batch(model, 1, 1)
    views = [View("top", kind, 40, 40) for kind in ("rgb", "depth", "segmentation")]
    renderer = make_renderer(backend, model, views)
    rgb, depth, bodies = renderer.render(batch, np.arange(1), views, with_background=True)
    renderer.close()
    middles = {"ball": (9, 9), "box": (9, 30), "can": (30, 9)}
    for channel, (name, (row, column)) in enumerate(middles.items()):
        assert bodies.values[0, row, column, 0] == model.body(name).id
        assert rgb.values[0, row, column].argmax() == channel
        assert depth.values[0, row, column, 0] == pytest.approx(3.4, abs=0.02)
    np.testing.assert_allclose(depth.values[0, 8:12, 28:32], 3.4, atol=1e-3)
    np.testing.assert_allclose(depth.values[0, 26:34, 26:34], 4.0, atol=1e-3)
    assert not bodies.values[0, 26:34, 26:34].any()
    assert rgb.background is not None
    assert not rgb.background.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_frame_does_not_depend_on_the_frame_before(make, backend):
    """The endless ground and the headlight follow the camera that is drawn, not the last one."""
    simulation = _simulation(3)
    simulation.qpos[:, 0] = [0.0, 1.3, 7.7]
    simulation.batch.forward()
    renderer, alone = make(backend, simulation), make(backend, simulation)
    together = renderer.render(simulation.batch, np.arange(3), [RGB])[0].values
    for lane in (1, 2, 0):
        np.testing.assert_array_equal(
            alone.render(simulation.batch, np.array([lane]), [RGB])[0].values[0], together[lane]
        )
