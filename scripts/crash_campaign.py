"""Kill recorders, compactions and recoveries with SIGKILL at random moments, hundreds of times, and check every row.

    python scripts/crash_campaign.py [--kills 300] [--seed 0] [--json] [--folder DIR]

Real processes. Every row says by its content which row of which stream it is, so that a lost, doubled, altered or
invented row is seen. What a recorder was told to be committed (`flush` returned) it reports over a pipe before it dies.
A power cut cannot be shown this way: the files of a killed process are still in the system's cache.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import zarr
from crash_actors import MAX_ROWS, compact, follow, record, recover, wrong_episodes, wrong_rows

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.layout import folder_name
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.logs.verify import verify_log

LONGEST_LIFE_S = 0.25
SPAWN = multiprocessing.get_context("forkserver")


@dataclass
class Options:
    """How much to kill, and where."""

    kills: int = 300
    seed: int = 0
    json: bool = False
    folder: Path | None = None


@dataclass
class Campaign:
    """One log that is killed again and again, and what was found.

    Attributes:
        folder: where it lies.
        rng: draws whom to kill, and when.
        counts: what was done.
        acknowledged: by epoch the rows of every stream, and the episodes, that were once said to be safe, or seen.
        faults: what was wrong.
    """

    folder: Path
    rng: np.random.Generator
    counts: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[int, dict[str, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The log."""
        return self.folder / "run.zarr"

    def expect(self, is_true: bool, what: str) -> None:
        """Note a fault."""
        if not is_true:
            self.faults.append(what)


def kill_after(process: Any, seconds: float) -> bool:
    """SIGKILL a process after a while; return whether it still lived."""
    process.join(seconds)
    lived = process.exitcode is None
    process.kill()
    process.join()
    return lived and process.exitcode == -signal.SIGKILL


def received(pipe: Connection) -> list[Any]:
    """Return all whole messages that a dead process left in its pipe."""
    messages = []
    try:
        while pipe.poll():
            messages.append(pipe.recv())
    except (EOFError, OSError):
        pass
    return messages


def started(target: Any, *words: Any) -> tuple[Any, Connection]:
    """Start a process with a pipe."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(*words, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def kill_recorder(campaign: Campaign, with_reader: bool) -> None:
    """One life of a recorder, with or without somebody who reads its tail."""
    draw = campaign.rng.random
    reader = started(follow, campaign.path) if with_reader else None
    close, epoch, seed = bool(draw() < 0.3), bool(draw() < 0.2), int(campaign.rng.integers(2**31))
    process, pipe = started(record, campaign.path, seed, close, epoch)
    if draw() < 0.8:
        pipe.poll(5.0)  # it records; the others die somewhere between start and recovery
    if reader is not None and draw() < 0.3:
        campaign.counts["tail readers killed"] += kill_after(reader[0], float(draw()) * 0.1)
        reader = None
    lived = kill_after(process, float(draw()) * LONGEST_LIFE_S)
    campaign.counts["recorders killed"] += lived
    campaign.counts["recorders killed that close and reopen"] += lived and close
    campaign.expect(process.exitcode in (0, -signal.SIGKILL), f"the recorder ended with {process.exitcode}")
    for said in received(pipe):
        acknowledge(campaign, said["epoch"], said["rows"] | {"episodes": said["episodes"]}, "a recorder")
    if reader is not None:
        check_reader(campaign, *reader)
    check_log(campaign)


def acknowledge(campaign: Campaign, epoch: int, found: dict[str, int], who: str) -> None:
    """Take in what somebody found or made safe, after a check that nothing which was safe before is missing."""
    before = campaign.acknowledged.get(epoch, {})
    for name, count in found.items():
        campaign.expect(count >= before.get(name, 0), f"{who} has {count} {name} of {before.get(name)}, epoch {epoch}")
    campaign.acknowledged[epoch] = {name: max(count, before.get(name, 0)) for name, count in found.items()}
    campaign.counts["acknowledgements"] += 1


def check_reader(campaign: Campaign, process: Any, pipe: Connection) -> None:
    """Stop the reader of the tail and take in what it saw."""
    pipe.send("stop")
    report = pipe.recv() if pipe.poll(20.0) else {"refreshes": 0, "rows": 0, "faults": ["the reader did not answer"]}
    process.join(5.0)
    campaign.counts["tail refreshes"] += report["refreshes"]
    campaign.counts["rows read from the tail"] += report["rows"]
    campaign.faults += [f"tail reader: {fault}" for fault in report["faults"]]


def check_log(campaign: Campaign) -> None:
    """Check that nothing acknowledged is lost, nothing is wrong, and nothing is visible that was not committed."""
    if not campaign.path.exists():
        campaign.expect(not campaign.acknowledged, "the log is gone")
        return
    try:
        logs = StreamLog.open(campaign.path).epochs
    except LogError as error:
        raise SystemExit(f"the log cannot be opened: {error}") from None
    campaign.expect(len(logs) > max(campaign.acknowledged, default=0), "an epoch is gone")
    for number, log in enumerate(logs):
        for name in log.streams:
            campaign.expect(not (wrong := wrong_rows(log, name)), f"{name}: {wrong} wrong rows")
            campaign.counts["rows checked"] += log.num_rows(name)
        campaign.expect(not (wrong := wrong_episodes(log)), f"{wrong} wrong episodes")
        campaign.counts["episodes checked"] += len(log.episodes)
        found = {name: log.num_rows(name) for name in log.streams} | {"episodes": len(log.episodes)}
        acknowledge(campaign, number, found, "the log")
    check = verify_log(campaign.path)
    campaign.faults += [f"verify: {problem}" for problem in check.problems]


def kill_recovery(campaign: Campaign) -> None:
    """Kill a recovery, then recover twice: the second has nothing to do, and zarr-python reads every row."""
    process, pipe = started(recover, campaign.path)
    pipe.poll(5.0)
    campaign.counts["recoveries killed"] += kill_after(process, float(campaign.rng.random()) * 0.03)
    check_log(campaign)
    recover_log(campaign.path)
    campaign.expect(recover_log(campaign.path) == [], "a second recovery found something to do")
    check_log(campaign)
    check_with_zarr(campaign)


def check_with_zarr(campaign: Campaign) -> None:
    """Read all arrays with zarr-python."""
    for log in StreamLog.open(campaign.path).epochs:
        group = zarr.open_group(log.path / "streams", mode="r")
        for name in log.streams:
            array: Any = group[f"{folder_name(name)}/data"]
            same = array.shape[0] == log.num_rows(name) and np.array_equal(array[:], log.read(name).data)
            campaign.expect(same, f"zarr-python reads other rows of {name}")
    campaign.counts["logs read with zarr-python"] += 1


def kill_compaction(campaign: Campaign) -> None:
    """Kill a compaction of a copy: it is the old log or the new one, with the same rows."""
    copy = Campaign(
        campaign.folder / "copy", campaign.rng, campaign.counts, dict(campaign.acknowledged), campaign.faults
    )
    shutil.copytree(campaign.path, copy.path)
    process, pipe = started(compact, copy.path)
    pipe.poll(5.0)
    campaign.counts["compactions killed"] += kill_after(process, float(campaign.rng.random()) * 0.5)
    check_log(copy)
    kind = "new" if StreamLog.open(copy.path).is_compacted else "old"
    campaign.counts[f"compactions that left the {kind} log"] += 1
    if kind == "old":
        compact_log(copy.path, shard_bytes=20_000)
        check_log(copy)
    check_with_zarr(copy)
    leftovers = [path.name for path in copy.folder.iterdir() if path != copy.path]
    campaign.expect(kind == "new" or not leftovers, f"compact left {leftovers}")
    shutil.rmtree(copy.folder)


def run(options: Options) -> Campaign:
    """Kill as often as asked."""
    SPAWN.set_forkserver_preload(["embodied_ssl.logs", "embodied_ssl.logs.compact", "zarr", "tyro", "crash_actors"])
    folder = Path(tempfile.mkdtemp(prefix="crash_campaign_", dir=options.folder))
    campaign = Campaign(folder, np.random.default_rng(options.seed))
    began, kills = time.monotonic(), 0
    try:
        while kills < options.kills:
            one_kill(campaign)
            kills = sum(campaign.counts[f"{what} killed"] for what in ("recorders", "recoveries", "compactions"))
            if any(
                sum(found.values()) >= MAX_ROWS for found in campaign.acknowledged.values()
            ):  # begin a fresh log; this one was checked
                shutil.rmtree(campaign.path)
                campaign.acknowledged = {}
                campaign.counts["logs filled"] += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    campaign.counts["seconds"] = round(time.monotonic() - began)
    return campaign


def one_kill(campaign: Campaign) -> None:
    """Kill one process."""
    draw = campaign.rng.random()
    if draw < 0.6 or not campaign.path.exists():
        kill_recorder(campaign, with_reader=bool(campaign.rng.random() < 0.5))
    elif draw < 0.8:
        kill_compaction(campaign)
    else:
        kill_recovery(campaign)


def main(options: Options) -> int:
    """Run and print; returns the number of faults, at most 100."""
    campaign = run(options)
    counts = {**campaign.counts, "faults": len(campaign.faults)}
    for name, count in counts.items():
        line = {"campaign": "log", "seed": options.seed, "count": name, "value": count}
        print(json.dumps(line) if options.json else f"{name:36} {count:>12,}", flush=True)
    for fault in campaign.faults[:20]:
        print(json.dumps({"campaign": "log", "seed": options.seed, "fault": fault}) if options.json else fault)
    return min(len(campaign.faults), 100)


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Options, description=__doc__)))
