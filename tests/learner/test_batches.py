"""Prefetched updates are those made in turn, the generator included."""

from __future__ import annotations

import pytest
from learners import assert_bits_equal, fed_learner, tensors_of


def several(learner, num_updates):
    for _ in range(num_updates):
        learner._update_once()


def test_prefetched_updates_are_those_made_in_turn():
    first, second = fed_learner(), fed_learner()
    for _ in range(6):
        first._update_once()
    with second.prefetched():
        for _ in range(4):
            second._update_once()
        inside = second.state()[1]["rng"]
    assert inside == second.rng.bit_generator.state
    for _ in range(2):
        second._update_once()
    assert_bits_equal(tensors_of(first), tensors_of(second))
    assert first.rng.bit_generator.state == second.rng.bit_generator.state


def test_an_error_in_the_thread_is_the_learners_and_it_learns_on_without(monkeypatch):
    learner = fed_learner()
    with monkeypatch.context() as patch, learner.prefetched():
        patch.setattr(learner.buffer, "gather", None)
        with pytest.raises(TypeError, match="NoneType"):
            several(learner, 4)
    learner._update_once()
    assert learner.num_updates >= 1
