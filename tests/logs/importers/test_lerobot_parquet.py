from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_ssl.logs.importers.lerobot_parquet import EpisodeRows, batches, inventory

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def test_any_choice_of_episodes_row_groups_and_batches(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "t.parquet"
    for _ in range(60):
        lengths = rng.integers(1, 9, rng.integers(1, 7))
        names = rng.permutation(50)[: len(lengths)]
        rows = pa.table({"episode_index": np.repeat(names, lengths), "x": np.arange(lengths.sum())})
        pq.write_table(rows, path, row_group_size=int(rng.integers(1, 12)))
        found = inventory(path)
        starts = np.cumsum(lengths) - lengths
        model = [EpisodeRows(path, int(n), int(s), int(c)) for n, s, c in zip(names, starts, lengths, strict=True)]
        assert found == model
        wanted = [one for one in found if rng.random() < 0.6]
        read: dict[int, list[int]] = {}
        for one, first, batch in batches(path, wanted, ["x"], int(rng.integers(1, 10))):
            assert first == len(read.setdefault(one.episode, []))
            read[one.episode] += batch.column("x").to_pylist()
        assert read == {one.episode: list(range(one.start, one.start + one.count)) for one in wanted}
