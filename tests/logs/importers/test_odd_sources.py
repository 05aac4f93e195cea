"""Sources that say what nobody expects: one clear line, or a note, never a traceback or a refused recording."""

from types import SimpleNamespace

import numpy as np
import pytest

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.logs.aside import made_aside
from embodied_ssl.logs.exporting import export_log
from embodied_ssl.logs.importers.array_rows import MAX_BLOCK_BYTES, blocks
from embodied_ssl.logs.importers.message_times import TopicTimes
from embodied_ssl.logs.importers.ulog_topics import LATEST_US, MAX_TEXT, message_tables
from embodied_ssl.logs.importers.zarr_v2_array import ZarrV2Array
from embodied_ssl.logs.importing import import_recording
from embodied_ssl.logs.jsonable import jsonable
from embodied_ssl.spec import SensorSpec

VECTOR = LogStream(SensorSpec("a", "vector", (4,), "float32", 100.0))


def small_log(path, seq=None):
    with StreamLog.create(path, [VECTOR], {"gain": float("nan")}) as writer:
        writer.append("a", np.zeros((3, 4), np.float32), np.arange(1, 4) * 10**9, seq=seq)
        writer.begin_episode(10**9, tick=3, facts={"tick": "abc"})
        writer.end_episode(3 * 10**9, tick=5)
    return path


@pytest.mark.parametrize("seconds", ["abc", float("nan"), float("inf"), [1], {"a": 1}, "9" * 5000])
def test_a_stamp_that_is_no_number_is_no_stamp(seconds):
    times = TopicTimes(stamp=("timestamp.sec", "timestamp.nsec"))
    times.see({"timestamp.sec": seconds, "timestamp.nsec": 0}, 7, 8, 0)
    assert (times.unstamped, times.oldest_ns) == (1, 7)


@pytest.mark.parametrize(
    "own", ["[1]", '{"episodes":5}', "[" * 100_000, '{"facts":{"a":NaN}}', '{"episodes":[{"start_ns":Infinity}]}']
)
def test_odd_metadata_of_an_mcap_file(tmp_path, own):
    writing = pytest.importorskip("mcap.writer")
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = writing.Writer(file)
        writer.start()
        schema = writer.register_schema("x", "jsonschema", b'{"properties":{"x":{"type":"number"}}}')
        channel = writer.register_channel("t", "json", schema)
        writer.add_message(channel, 1, b'{"x":1.5}', 1, 0)
        writer.add_message(channel, 2, b'{"x":%s}' % (b"9" * 400), 2, 1)
        writer.add_metadata("embodied_ssl.log", {"json": own})
        writer.finish()
    if "episodes" in own:
        with pytest.raises(LogError, match=r"embodied_ssl\.log metadata are damaged"):
            import_recording(tmp_path / "a.mcap", tmp_path / "a.zarr")
    else:
        import_recording(tmp_path / "a.mcap", tmp_path / "a.zarr")
        assert StreamLog.open(tmp_path / "a.zarr").num_rows("t") == 1


def test_mcap_round_trip_keeps_ticks_of_episodes_and_notes_unknown_numbers(tmp_path):
    pytest.importorskip("mcap")
    log = small_log(tmp_path / "a.zarr", seq=np.array([5, -1, 7]))
    report = export_log(log, tmp_path / "a.mcap", "mcap")
    assert any("without a sequence number were written as 0" in note for note in report.notes)
    import_recording(tmp_path / "a.mcap", tmp_path / "b.zarr")
    episode = StreamLog.open(tmp_path / "b.zarr").episodes[0]
    assert (episode.start_tick, episode.end_tick, episode.facts) == (3, 5, {"tick": "abc"})
    small_log(tmp_path / "c.zarr", seq=np.zeros(3, np.int64))
    assert any("cannot tell from none" in n for n in export_log(tmp_path / "c.zarr", tmp_path / "c.mcap", "mcap").notes)


@pytest.mark.parametrize(
    "changed", [{"zarr_format": 1}, {"shape": [float("inf")]}, {"shape": None}, {"dtype": [["a", "<f4"]]}]
)
def test_odd_arrays_of_zarr_v2(tmp_path, changed):
    import json

    meta = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "<f4", "compressor": None} | changed
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".zarray").write_text(json.dumps(meta))
    with pytest.raises(LogError, match=r"supported|no zarr v2 array"):
        ZarrV2Array.open(tmp_path, "x")


def test_facts_that_are_not_finite_become_none():
    value = {"a": float("nan"), 1: [np.float32(np.inf), b"\xff", (2, {"b": -np.inf})]}
    assert jsonable(value) == {"a": None, "1": [None, "ff", [2, {"b": None}]]}


def test_blocks_stay_small_whatever_the_chunks_are():
    for row_bytes, multiple in ((921_600, 625), (10, 8), (1 << 30, 4), (1, 1 << 30)):
        found = list(blocks(0, 3000, row_bytes, multiple))
        assert [start for start, _ in found[1:]] == [stop for _, stop in found[:-1]]
        assert found[-1][1] == 3000
        assert max(stop - start for start, stop in found) * row_bytes <= max(MAX_BLOCK_BYTES, row_bytes)


def test_messages_of_ulog_with_impossible_times_and_long_texts():
    def message(t, text):
        return SimpleNamespace(timestamp=t, message=text, log_level=6)

    some = [message(1, "short"), message(LATEST_US + 1, "never"), message(2, "é" * 50_000)]
    notes: list[str] = []
    text, level = message_tables(SimpleNamespace(logged_messages=some, logged_messages_tagged={}), notes)
    assert text.stream.sensor.shape == (MAX_TEXT,)
    assert len(level.t_ns) == 2
    rows = np.stack(text.columns, axis=1)
    assert rows[1].tobytes().decode() == "é" * (MAX_TEXT // 2)
    assert len(notes) == 2


@pytest.mark.parametrize(("kind", "name"), [("mcap", "out.mcap"), ("lerobot", "out")])
def test_exports_leave_files_of_the_user_alone(tmp_path, kind, name):
    pytest.importorskip({"mcap": "mcap", "lerobot": "pyarrow"}[kind])
    log = small_log(tmp_path / "a.zarr")
    mine, victim = tmp_path / "out.partial", tmp_path / "victim"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    victim.write_text("precious")
    (tmp_path / "out.mcap.partial").symlink_to(victim)
    export_log(log, tmp_path / name, kind)
    assert (mine / "thesis.txt").exists()
    assert victim.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["a.zarr", name, "out.partial", "out.mcap.partial", "victim"]
    )


def test_two_makers_of_one_name_do_not_touch_each_other(tmp_path):
    def make_two():
        with made_aside(tmp_path / "a", "importing") as first:
            first.write_text("first")
            with made_aside(tmp_path / "a", "importing") as second:
                second.write_text("second")
            assert first.read_text() == "first"

    with pytest.raises(LogError, match="exists already"):
        make_two()
    assert (tmp_path / "a").read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 1
