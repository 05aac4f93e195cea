"""Second writers, forks and Ctrl-C."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from logged import CAM, CHUNK_ROWS, STREAMS, add_rows, all_right

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.verify import verify_log


def _append_to(path, answer):
    try:
        StreamLog.append_to(path).close()
    except LogError as error:
        answer.send(str(error))
    answer.send("no error")


def test_a_log_has_one_writer(tmp_path):
    path = tmp_path / "run.zarr"
    with StreamLog.create(path, STREAMS) as writer:
        with pytest.raises(LogError, match=f"being written by process {os.getpid()}"):
            StreamLog.append_to(path)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_append_to, args=(path, theirs))
        process.start()
        assert f"being written by process {os.getpid()}" in ours.recv()
        process.join()
        with pytest.raises(LogError, match="being written"):
            StreamLog.append_to(path, [CAM], on_change="epoch")
        with pytest.raises(LogError, match="being written"):
            compact_log(path)
        add_rows(writer, "cam", 1)
    StreamLog.append_to(path).close()


def test_a_forked_child_has_no_writer_and_does_not_hold_the_lock(tmp_path):
    path = tmp_path / "run.zarr"
    writer = StreamLog.create(path, STREAMS)
    add_rows(writer, "cam", 2)
    ask, tell = os.pipe()
    if not (child := os.fork()):
        try:
            add_rows(writer, "cam", 1)
        except LogError as error:
            os.write(tell, str(error).encode())
        time.sleep(60)
    said = os.read(ask, 1000).decode()
    writer.close()
    StreamLog.append_to(path).close()  # the child lives on
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert "process that was forked" in said
    assert StreamLog.open(path).num_rows("cam") == 2


STRUCK = """
import json, os, sys, threading, time
import numpy as np
from logged import CHUNK_ROWS, STREAMS, add_rows
from embodied_ssl.logs import StreamLog

writer = StreamLog.create(sys.argv[1], STREAMS, flush_s=0.005, chunk_rows=CHUNK_ROWS)
stop, struck = threading.Event(), 0


def strike():
    rng = np.random.default_rng(0)
    while not stop.wait(float(rng.random()) * 0.002):
        os.kill(os.getpid(), 2)


striker = threading.Thread(target=strike)
striker.start()
end = time.monotonic() + 1.5
while time.monotonic() < end:
    try:
        add_rows(writer, "cam", 9)  # what was taken of an interrupted call counts: rows go on from num_rows
        add_rows(writer, "/imu/data", 1)
        writer.flush()
    except KeyboardInterrupt:
        struck += 1
    except BaseException:
        stop.set()
        raise
while striker.is_alive():
    try:
        stop.set()
        striker.join()
    except KeyboardInterrupt:
        pass
rows = {name: writer.num_rows(name) for name in CHUNK_ROWS}
writer.close()
print(json.dumps([struck, rows]))
"""


def test_ctrl_c_anywhere_in_append_and_flush_leaves_a_sound_log(tmp_path):
    """A signal every few hundred microseconds, real ones, while rows are appended and committed.

    In a process of its own: here a signal may strike pytest's own hooks.
    """
    path = tmp_path / "run.zarr"
    words = [sys.executable, "-c", STRUCK, str(path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    struck, rows = json.loads(done.stdout)
    assert struck > 100
    log = StreamLog.open(path)
    assert {name: log.num_rows(name) for name in CHUNK_ROWS} == rows
    assert all_right(log)
    assert verify_log(path).is_sound
