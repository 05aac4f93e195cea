"""`agent.encoder_grad` says which losses move the encoder; the actor's never does."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tiny_runs import robots_of
from torch import Tensor

from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import train
from embodied_ssl.train.roles import Student, Trainer
from embodied_ssl.train.session import Session


def copy_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.fixture
def watch(monkeypatch):
    """Collects model states: as built, after every update, and whether agent updates changed or touched the model."""
    states: list[dict[str, Tensor]] = []
    student_work, trainer_work, build = Student.work, Trainer.work, Session.build.__func__

    def built(cls, config, run, resume=False):
        session = build(cls, config, run)
        states.append(copy_of(session.learner.model))
        return session

    def learned(self: Student) -> None:
        student_work(self)
        states.append(copy_of(self.learner.model))

    def acted(self: Trainer) -> None:
        model = self.pilot.learner.model
        before = copy_of(model)
        grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
        trainer_work(self)
        assert not changed(before, copy_of(model))
        for name, parameter in model.named_parameters():
            grad, now = grads[name], parameter.grad
            assert now is grad or (now is not None and grad is not None and torch.equal(now, grad)), name

    monkeypatch.setattr(Session, "build", classmethod(built))
    monkeypatch.setattr(Student, "work", learned)
    monkeypatch.setattr(Trainer, "work", acted)
    return states


def encoders(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith(("encoder.", "target_encoder."))}


def test_frozen_never_moves_the_encoder_but_fits_its_normalisation_once(tiny, watch):
    run = RunFolder.create(tiny("frozen"))
    summary = train(run.config, run)
    assert summary["agent_updates"] == 100
    built, first, last = watch[0], watch[1], watch[-1]
    assert len(watch) == 26
    fitted = encoders(changed(built, first))
    assert fitted
    assert all(".standardizer." in name for name in fitted)
    assert not encoders(changed(first, last))
    # The heads learn all the same: their skill says what these embeddings hold.
    assert {name.split(".")[1] for name in changed(first, last)} >= {"forward_prediction", "sensor_reconstruction"}


def test_frozen_is_published_with_its_normalisation_and_stays_frozen_after_a_resume(tiny, watch):
    run = RunFolder.create(tiny("frozen"))
    train(run.config, run)
    train(dataclasses.replace(run.config, env_steps=900), run, resume=True)
    assert not encoders(changed(watch[1], watch[-1]))
    session = Session.build(run.config, run)
    session.resume()
    session.source.close()
    encoder = session.learner.model.encoder
    assert not changed(copy_of(encoder), session.learner.snapshot.weights)


@pytest.mark.parametrize("encoder_grad", ["ssl", "critic", "ssl+critic"])
def test_every_other_form_moves_encoder_target_and_heads(tiny, watch, encoder_grad):
    run = RunFolder.create(tiny(encoder_grad, env_steps=600))
    train(run.config, run)
    moved = {name for name in changed(watch[1], watch[-1]) if ".standardizer." not in name}
    assert {name.split(".")[0] for name in moved} == {"encoder", "target_encoder", "objectives"}


def gradients(tiny, encoder_grad: str, critic: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the encoder's and the heads' gradients of one update of an unclipped learner."""
    config = tiny(encoder_grad, env_steps=400)
    config = dataclasses.replace(config, learner=dataclasses.replace(config.learner, clip_norm=1e9))
    session = Session.build(config, RunFolder.create(config))
    session.start()
    robots = robots_of(session)
    for _ in range(80):
        action = session.pilot.act(robots.stream)
        robots.stream.observe(action, *robots.env.step(action))
    session.source.close()
    session.pilot.num_updates = 1  # before its first own update the critic has no say
    session.learner.update_step.weights["critic"] = critic
    session.learner.update(max_updates=1)
    model = session.learner.model
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return (
        {name: grad for name, grad in found.items() if name.startswith("encoder.")},
        {name: grad for name, grad in found.items() if name.startswith("objectives.")},
    )


def test_the_gradients_are_those_of_the_named_losses(tiny):
    """Same seed, so same windows: the gradients of `ssl` and `critic` alone add up to those of both."""
    ssl, ssl_heads = gradients(tiny, "ssl", 1.0)
    critic, critic_heads = gradients(tiny, "critic", 1.0)
    both, _ = gradients(tiny, "ssl+critic", 1.0)
    without, _ = gradients(tiny, "critic", 0.0)
    frozen, frozen_heads = gradients(tiny, "frozen", 1.0)
    assert not frozen
    assert all(not grad.any() for grad in without.values())
    assert ssl.keys() == critic.keys() == both.keys()
    for name, grad in both.items():
        torch.testing.assert_close(grad, ssl[name] + critic[name], rtol=1e-3, atol=1e-4)
    assert any(grad.abs().max() > 1e-3 for grad in critic.values())
    for name, grad in ssl_heads.items():  # the heads' own gradients are the same, whoever moves the encoder
        torch.testing.assert_close(grad, critic_heads[name])
        torch.testing.assert_close(grad, frozen_heads[name])


def test_a_critic_that_has_learned_nothing_does_not_move_the_encoder(tiny):
    config = tiny("ssl+critic", env_steps=400)
    session = Session.build(config, RunFolder.create(config))
    session.start()
    robots = robots_of(session)
    for _ in range(80):
        action = session.pilot.act(robots.stream)
        robots.stream.observe(action, *robots.env.step(action))
    session.source.close()
    session.learner.update(max_updates=1)
    assert session.pilot.num_updates == 0
    assert session.learner.read_metrics()["loss/critic"] == 0.0
