"""Looking at envs: recordings hold every row once, pictures show what was recorded, the film holds every tick."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from embodied_ssl.errors import ConfigError
from embodied_ssl.report.contact_sheet import contact_sheet
from embodied_ssl.report.env_recording import Recording, Track
from embodied_ssl.report.env_view import record_env, write_view
from embodied_ssl.report.frames import as_colours
from embodied_ssl.report.panels import TimeAxis
from embodied_ssl.report.raster import WARNING
from embodied_ssl.report.timelines import Layout, timelines
from embodied_ssl.report.view_policies import view_policy

RUNNER = "embodied_envs:Embodied/Runner-v0"
SECONDS, EPISODE_TICKS = 1.0, 12


@pytest.fixture(scope="module")
def recording() -> Recording:
    kwargs = {"camera_backend": "ray", "camera_px": 24, "camera_kinds": ["rgb", "depth", "segmentation"]}
    return record_env(RUNNER, kwargs | {"episode_ticks": EPISODE_TICKS}, SECONDS)


@pytest.fixture(scope="module")
def without_camera() -> Recording:
    return record_env("Pendulum-v1", {}, 1.0)


def track(recording: Recording, name: str) -> Track:
    return next(one for one in recording.tracks if one.card.spec.name == name)


def test_rows_are_kept_once_at_their_time_of_capture(recording):
    assert len(recording.times_s) == 21
    assert np.flatnonzero(recording.starts).tolist() == [0, EPISODE_TICKS + 1]
    accelerometer = track(recording, "accelerometer")
    assert accelerometer.rows.shape == (4 * 19, 2)  # four rows a tick, none at the two resets
    assert (np.diff(accelerometer.captured_s) > 0).all()
    assert np.isnan(accelerometer.age_s[[0, EPISODE_TICKS + 1]]).all()
    np.testing.assert_allclose(accelerometer.age_s[1:12], 0.005, atol=1e-6)


def test_cameras_hold_their_frames_until_the_next(recording):
    camera = track(recording, "camera")
    np.testing.assert_allclose(camera.captured_s, [0.0, 0.4, 0.65], atol=1e-6)  # 2.5 Hz, and at the second start
    assert len(recording.pictures) == 3
    np.testing.assert_array_equal(camera.newest(7), camera.rows[0])
    np.testing.assert_array_equal(camera.newest(8), camera.rows[1])


def test_lost_rows_are_noted_and_marked():
    kwargs = {"camera_backend": "ray", "cameras": False, "distractors": ["dropped"], "difficulty": "hard"}
    recording = record_env(RUNNER, kwargs, 3.0, seed=1)
    lost = [one for one in recording.vectors if len(one.lost_s)]
    assert lost
    for one in lost:
        assert not np.isin(one.lost_s.round(4), one.captured_s.round(4)).any()
    picture = timelines(recording)[0]
    assert (picture == WARNING).all(axis=2).sum() >= len(lost[0].lost_s)


def test_depth_is_brighter_where_it_is_nearer_and_bodies_have_their_own_colours(recording):
    depth, bodies = track(recording, "camera_depth"), track(recording, "camera_segmentation")
    frame = depth.rows[0]
    bright = as_colours(frame, depth.card).astype(float).sum(axis=2)
    seen = frame[..., 0] < depth.card.spec.high
    assert np.corrcoef(bright[seen], -np.log(frame[..., 0][seen]))[0, 1] > 0.9
    numbers = np.unique(bodies.rows[0])
    colours = as_colours(bodies.rows[0], bodies.card).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) == len(numbers) > 3


def test_a_missing_frame_is_grey(recording):
    grey = as_colours(None, recording.pictures[0].card)
    assert grey.shape == (24, 24, 3)
    assert grey.std(axis=(0, 1)).max() == 0


def test_the_contact_sheet_shows_the_frames_themselves(recording):
    sheet = contact_sheet(recording, num_moments=3, cell_px=48)
    frame = np.repeat(np.repeat(track(recording, "camera").rows[0], 2, axis=0), 2, axis=1)
    # Header of the sheet and of the strip, then the cell's own line of text.
    np.testing.assert_array_equal(sheet[24 + 24 + 16 :][:48, :48], frame)


def test_timelines_put_rows_where_they_were_captured(recording):
    picture, axis = timelines(recording, Layout(width=800))
    assert picture.shape[1] == 800
    assert axis.to_px(np.array([0.0, 1.0])).tolist() == [axis.left, axis.right]
    assert picture[:, axis.left :].std() > 5


def test_time_axis_is_linear():
    axis = TimeAxis(100, 300, 0.0, 4.0)
    np.testing.assert_allclose(axis.to_px(np.array([0.0, 1.0, 4.0])), [100, 150, 300])


def test_view_writes_pictures_and_a_film_of_every_tick(recording, tmp_path):
    sheet, lines, film = write_view(recording, tmp_path / "out")
    assert [path.name for path in (sheet, lines, film)] == ["contact_sheet.png", "timelines.png", "view.mp4"]
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.std() > 10
    reader = cv2.VideoCapture(str(film))
    assert reader.get(cv2.CAP_PROP_FPS) == pytest.approx(20.0)
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1].astype(int))
    assert len(frames) == len(recording.times_s)
    # The hand moves over the timelines, and the cameras' part changes when a frame arrives.
    assert np.abs(frames[0] - frames[-1]).max() > 50
    assert np.abs(frames[8][:256] - frames[7][:256]).mean() > np.abs(frames[7][:256] - frames[6][:256]).mean()


def test_an_env_without_cameras_gets_timelines_only(without_camera, tmp_path):
    assert [path.name for path in write_view(without_camera, tmp_path)] == ["timelines.png"]
    assert not (tmp_path / "view.mp4").exists()


def test_policies_by_name_act_in_the_env_s_own_bounds(without_camera):
    assert np.abs(without_camera.action).max() <= 1
    assert without_camera.action.std() > 0.3
    still = record_env("Pendulum-v1", {}, 0.5, policy="zero")
    assert (still.action == 0).all()


def push(observation, time_s):
    return 2.0 * np.ones((len(observation), 1)) * (time_s[:, None] > 0.2)


def test_a_function_of_the_user_s_acts(monkeypatch):
    monkeypatch.setitem(
        __import__("sys").modules, "my_policies", __import__("types").SimpleNamespace(push=push, wild=3)
    )
    recording = record_env("Pendulum-v1", {}, 0.5, policy="my_policies:push")
    assert recording.action[:, 0].tolist() == [0.0] * 8 + [1.0] * 8
    with pytest.raises(ConfigError, match="is a int, expected a function"):
        view_policy("my_policies:wild", 0)


def wants_more(observation, batch):
    return batch


def test_policy_mistakes_are_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_policies", SimpleNamespace(wants_more=wants_more))
    for name, message in (
        ("rnadom", "did you mean 'random'"),
        ("no_such_module:act", "cannot be loaded: No module named"),
        ("my_policies:act", "cannot be loaded"),
        ("my_policies:wants_more", "asks for 'batch'; allowed: envs, info, observation, time_s"),
    ):
        with pytest.raises(ConfigError, match=message):
            view_policy(name, 0)
