from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from embodied_ssl.buffer.limiter import Limiter
from embodied_ssl.errors import ConfigError


@pytest.mark.parametrize("seed", range(20))
def test_what_is_allowed_is_what_the_definition_says_and_someone_may_always_go_on(seed):
    rng = np.random.default_rng(seed)
    ratio, least = float(rng.choice([0.1, 0.5, 1.0, 4.0, 32.0])), int(rng.integers(1, 20))
    error = float(max(1.0, ratio) * rng.choice([1.0, 1.5, 4.0]))
    limiter, inserts, samples = Limiter(ratio, least, error), 0, 0
    for _ in range(400):
        block = int(rng.integers(1, max(1, int(error / max(1.0, ratio))) + 1))
        due = ratio * (inserts - least) - samples
        may_insert = inserts + block <= least or due + block * ratio <= error
        may_sample = inserts >= least and due - block >= -error
        assert (limiter.can_insert(block), limiter.can_sample(block)) == (may_insert, may_sample)
        assert may_insert or may_sample
        if rng.random() < 0.5:
            assert limiter.insert(block, timeout_s=0) == may_insert
            inserts += block * may_insert
        else:
            assert limiter.sample(block, timeout_s=0) == may_sample
            samples += block * may_sample
        assert limiter.counts == (inserts, samples)
    assert limiter.ratio == samples / inserts


def test_two_threads_keep_to_the_ratio():
    limiter = Limiter(samples_per_insert=4.0, min_size=10, error_buffer=16.0)
    worst = []

    def write():
        for _ in range(300):
            assert limiter.insert(timeout_s=20)

    def read():
        for _ in range(145):
            assert limiter.sample(8, timeout_s=20)
            inserts, samples = limiter.counts
            worst.append(4.0 * (inserts - 10) - samples)

    threads = [threading.Thread(target=work) for work in (write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert limiter.counts == (300, 1160)
    assert min(worst) >= -16.0
    assert max(worst) <= 16.0


def test_a_wait_ends_at_its_timeout_and_counts_nothing():
    limiter = Limiter(1.0, 5, 2.0)
    began = time.monotonic()
    assert not limiter.sample(timeout_s=0.05)
    assert 0.04 < time.monotonic() - began < 5
    assert limiter.counts == (0, 0)


def test_closing_lets_everybody_go():
    limiter = Limiter(1.0, 5, 2.0)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(limiter.sample())) for _ in range(4)]
    for thread in threads:
        thread.start()
    limiter.close()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert answers == [False] * 4
    assert not limiter.insert()
    assert not limiter.can_insert()


def test_counts_are_restored():
    limiter, other = Limiter(2.0, 3, 4.0), Limiter(2.0, 3, 4.0)
    for _ in range(4):
        limiter.insert()
    limiter.sample(3)
    other.load_state(limiter.state())
    assert other.counts == (4, 3)
    assert [other.can_sample(n) for n in (1, 3, 4)] == [limiter.can_sample(n) for n in (1, 3, 4)] == [True, True, False]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.0, 1, 2.0), "samples_per_insert is 0.0"),
        ((1.0, 0, 2.0), "min_size is 0"),
        ((4.0, 1, 3.0), "error_buffer is 3.0, expected at least 4.0"),
        ((0.5, 1, 0.9), "error_buffer is 0.9, expected at least 1.0"),
    ],
)
def test_numbers_that_cannot_work_are_refused(numbers, words):
    with pytest.raises(ConfigError, match=words):
        Limiter(*numbers)


def test_steps_that_could_lock_both_sides_are_refused():
    limiter = Limiter(2.0, 3, 4.0)
    with pytest.raises(ConfigError, match="insert of 3 items at once needs an error_buffer of at least 6"):
        limiter.insert(3)
    with pytest.raises(ConfigError, match="sample of 5 items at once"):
        limiter.sample(5)
