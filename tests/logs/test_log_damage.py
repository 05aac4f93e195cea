"""Every kind of damage is named, or does no harm; --skip-corrupt drops exactly what is bad and counts it."""

import json
import shutil

import numpy as np
import pytest
from logged import CHUNK_ROWS, STREAMS, add_rows, all_right, edit_commits, make_log, rows_of

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog, layout
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.logs.verify import verify_log
from embodied_ssl.spec import SensorSpec


@pytest.fixture(params=["growing", "compacted"])
def log_path(request, tmp_path):
    path = make_log(tmp_path / "run.zarr")
    if request.param == "compacted":
        compact_log(path, shard_bytes=500)
    return path


@pytest.fixture
def path(tmp_path):
    return make_log(tmp_path / "run.zarr")


def _files(path):
    return sorted(file for file in path.rglob("*") if file.is_file())


def _is_harmless(path, file):
    """The lock says who writes, and the last chunks of a closed log repeat the tail for other libraries."""
    ends = {layout.chunk_path(path, s.name, "data", n, len(s.sensor.shape)) for s, n in _ends(path)}
    ends |= {layout.chunk_path(path, s.name, "index", n, 0) for s, n in _ends(path)}
    return file.name == layout.LOCK_FILE or file in ends


def _ends(path):
    if StreamLog.open(path, skip_corrupt=True).is_compacted:
        return []
    return [(s, rows // CHUNK_ROWS[s.name]) for s, rows in zip(STREAMS, (21, 111, 11), strict=True)]


def _is_noticed(path, episodes):
    """Return whether damage is said; if it is not, all rows and episodes must be right."""
    if not verify_log(path).is_sound:
        return True
    log = StreamLog.open(path)
    assert all_right(log)
    assert [log.num_rows(s.name) for s in STREAMS] == [21, 111, 11]
    assert log.episodes == episodes
    return False


def _tenths(file):
    """Chunks are many and alike: a few cuts of each."""
    return (0, 1, 5, 9) if file.parent.name in layout.ARRAYS else range(10)


def test_truncation_at_every_tenth(log_path):
    episodes = StreamLog.open(log_path).episodes
    for file in _files(log_path):
        whole, harmless = file.read_bytes(), _is_harmless(log_path, file)
        for size in sorted({len(whole) * tenth // 10 for tenth in _tenths(file)} - {len(whole)}):
            file.write_bytes(whole[:size])
            assert _is_noticed(log_path, episodes) != harmless, f"{file} cut to {size}"
        file.write_bytes(whole)
    assert verify_log(log_path).is_sound


def test_one_flipped_bit_anywhere(log_path):
    rng, episodes = np.random.default_rng(0), StreamLog.open(log_path).episodes
    for file in _files(log_path):
        whole, harmless = file.read_bytes(), _is_harmless(log_path, file)
        for _ in range(3 if file.parent.name in ("data", "index") else 6):
            damaged = bytearray(whole)
            at = rng.integers(len(whole))
            damaged[at] ^= 1 << rng.integers(8)
            file.write_bytes(damaged)
            same = file.name == "zarr.json" and _same_json(whole, damaged)
            assert _is_noticed(log_path, episodes) != (harmless or same), f"{file} at {at}"
        file.write_bytes(whole)


def _same_json(one, other):
    try:
        whole, damaged = json.loads(one), json.loads(bytes(other))
        if whole.get("node_type") == "array" and whole["shape"] != damaged.get("shape"):
            axis = int(len(whole["shape"]) > 1 and whole["attributes"] != {})
            fewer = 0 <= damaged["shape"][axis] < whole["shape"][axis]  # as a kill in close leaves it: a note
            damaged["shape"][axis] = whole["shape"][axis] if fewer else None
        return whole == damaged
    except (ValueError, TypeError, KeyError, IndexError):
        return False


def test_a_missing_file_is_an_error_and_never_zeros(log_path):
    episodes = StreamLog.open(log_path).episodes
    for file in _files(log_path):
        whole, harmless = file.read_bytes(), _is_harmless(log_path, file)
        is_empty_tail = file.parent.name == "tail" and not whole
        file.unlink()
        assert _is_noticed(log_path, episodes) != (harmless or is_empty_tail), file
        file.write_bytes(whole)


def test_swapped_and_stale_chunks_are_not_taken_for_their_like(path, tmp_path):
    other = make_log(tmp_path / "other.zarr")
    first, second = (layout.chunk_path(path, "cam", "data", number, 3) for number in (0, 1))
    bytes_of = first.read_bytes(), second.read_bytes()
    first.write_bytes(bytes_of[1])
    second.write_bytes(bytes_of[0])
    log = StreamLog.open(path)
    with pytest.raises(LogError, match="checksum is not the committed one"):
        log.read("cam", 0, 4)
    second.write_bytes(bytes_of[1])
    shutil.copy(layout.chunk_path(other, "cam", "data", 2, 3), first)
    assert not verify_log(path).is_sound
    assert verify_log(other).is_sound


def test_skip_corrupt_drops_exactly_the_bad_chunk_and_counts_it(path):
    chunk = layout.chunk_path(path, "/imu/data", "data", 2, 1)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(LogError, match="damaged"):
        StreamLog.open(path).read("/imu/data")
    log = StreamLog.open(path, skip_corrupt=True)
    numbers = np.delete(np.arange(111), slice(32, 48))
    rows = log.read("/imu/data")
    assert np.array_equal(rows.seq, numbers)
    assert np.array_equal(rows.data, rows_of(STREAMS[1], 0, 111)[0][numbers])
    assert np.array_equal(log.index("/imu/data")[:, 2], numbers)
    assert np.array_equal(
        np.concatenate([b.seq for b in log.blocks("/imu/data", 20, 60)]), [*range(20, 32), *range(48, 60)]
    )
    assert log.corrupt == {"/imu/data": [2]}
    assert "1 damaged chunks left out" in log.damage[-1]
    assert len(log.read("cam")) == 21


def test_skip_corrupt_leaves_a_damaged_tail_out_and_says_how_much(path):
    tail = layout.tail_path(path, 0)
    tail.write_bytes(tail.read_bytes()[:-5])
    with pytest.raises(LogError, match="rows of open chunks"):
        StreamLog.open(path)
    log = StreamLog.open(path, skip_corrupt=True)
    assert [log.num_rows(s.name) for s in STREAMS] == [20, 96, 8]
    assert all_right(log)
    assert "19 rows of open chunks are left out" in log.damage[0]


def test_a_commit_damaged_in_the_middle_costs_its_own_chunks_only(path):
    file = path / "commit.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    lines[2] = lines[2].replace(b'"rows"', b'"rovs"')
    file.write_bytes(b"".join(lines))
    with pytest.raises(LogError, match="line 3 is damaged"):
        StreamLog.open(path)
    log = StreamLog.open(path, skip_corrupt=True)
    assert np.array_equal(log.read("cam").seq, [*range(4), *range(12, 21)])  # commits had 7, 14 and 21 rows
    assert log.corrupt == {"cam": [1, 2]}
    assert "damaged lines 3; 4 chunks without a checksum" in log.damage[0]
    assert len(log.read("flag")) == 11
    assert len(log.episodes) == 2
    for change in (StreamLog.append_to, recover_log, compact_log):
        with pytest.raises(LogError, match="line 3 is damaged"):
            change(path)


@pytest.mark.parametrize("order", [[0, 2, 3, 4], [0, 1, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [1, 2, 3, 4]])
def test_commits_removed_or_reordered_are_damage(path, order):
    file = path / "commit.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(LogError, match=r"line . is damaged|has format None"):
        StreamLog.open(path)


def test_a_lost_end_of_the_commit_record_is_said_and_nothing_is_deleted(path):
    file = path / "commit.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-2]))
    before = _files(path)
    for use in (StreamLog.open, StreamLog.append_to, recover_log, compact_log):
        with pytest.raises(LogError, match="has lost its end"):
            use(path)
    assert _files(path) == before
    log = StreamLog.open(path, skip_corrupt=True)
    assert log.num_rows("cam") == 14
    assert all_right(log)
    assert "had 21 rows, 14 are known" in log.damage[0]


def test_a_future_format_is_refused_by_its_version(path):
    edit_commits(path, lambda records: records[0].update(log=2))
    with pytest.raises(LogError, match=r"has format 2, expected 1; use a newer"):
        StreamLog.open(path)


def test_a_folder_that_is_no_log_and_one_that_is_missing(tmp_path):
    for use in (StreamLog.open, StreamLog.append_to, recover_log, compact_log):
        with pytest.raises(LogError, match="is no log of embodied_ssl"):
            use(tmp_path / "nothing")
    assert "is no log" in verify_log(tmp_path).problems[0]


def test_recover_mends_what_other_libraries_are_told(path):
    for name in ("zarr.json", "streams/cam/data/zarr.json", "streams/zarr.json"):
        (path / name).write_text("{}")
    (path / "streams" / "cam" / "index" / "0.99").write_bytes(b"stray")
    (path / "tail" / "00000007.bin").write_bytes(b"stray")
    check = verify_log(path)
    assert len(check.problems) == 3
    assert "2 files of no commit" in check.notes[-1]
    done = recover_log(path)
    assert len(done) == 5
    assert recover_log(path) == []
    assert verify_log(path).problems == verify_log(path).notes == []


def test_quick_verify_looks_for_every_file_and_reads_the_last_chunk(path):
    assert verify_log(path, quick=True).num_chunks == verify_log(path).num_chunks == 5 + 6 + 1
    chunk = layout.chunk_path(path, "cam", "data", 1, 3)
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1])
    assert verify_log(path, quick=True).is_sound
    chunk.unlink()
    assert "is missing" in verify_log(path, quick=True).problems[0]


def test_a_reader_of_a_log_that_is_compacted_meanwhile_is_told_to_open_it_again(path):
    log = StreamLog.open(path)
    compact_log(path)
    with pytest.raises(LogError, match="open the log again"):
        log.read("cam", 0, 4)
    with pytest.raises(LogError, match="open the log again"):
        log.refresh()


def test_a_compacted_log_refuses_to_grow_and_opens_an_epoch(path):
    compact_log(path)
    with pytest.raises(LogError, match="is compacted and grows no more"):
        StreamLog.append_to(path)
    with StreamLog.append_to(path, on_change="epoch") as writer:
        add_rows(writer, "cam", 5)
    assert [epoch.num_rows("cam") for epoch in StreamLog.open(path).epochs] == [21, 5]
    with pytest.raises(LogError, match="compacted"):
        compact_log(path)


def test_recover_of_a_closed_log_has_nothing_to_do_however_often(tmp_path):
    """Blosc may compress the same values to other bytes each time; many rows, so that a chunk has many blocks."""
    path, count = tmp_path / "long.zarr", 6000
    stream = LogStream(SensorSpec("imu", "imu", (6,), "float64", 200.0))
    values = np.random.default_rng(0).normal(size=(count, 6))
    with StreamLog.create(path, [stream]) as writer:
        writer.append("imu", values, np.arange(count) * 5_000_000 + np.arange(count) % 7)
    assert [recover_log(path) for _ in range(5)] == [[]] * 5
