"""Add a live, learning representation to your own loop; the README shows this file and what it prints."""

import gymnasium as gym
import numpy as np

import embodied_ssl as essl

envs = gym.make_vec("embodied_envs:Embodied/Runner-v0", num_envs=16, cameras=False)
learner = essl.OnlineLearner.from_env(envs, objectives=["temporal_contrast", "forward_prediction", "spread"])
stream = learner.stream(envs)  # these lanes' history; an evaluation env gets a stream of its own
rng = np.random.default_rng(0)


def policy(embedding):
    """Act on the embedding; here at random, yours will do better."""
    return rng.uniform(-1, 1, (len(embedding), 6)).astype(np.float32)


stream.reset(*envs.reset(seed=0))
for _ in range(300):
    action = policy(stream.embed())  # (16, 128), newest snapshot, advances nothing
    stream.observe(action, *envs.step(action))
    learner.update()  # as many updates as the ratio allows

losses = learner.read_metrics()
print(f"{learner.env_steps} steps, {learner.num_updates} updates, snapshot {learner.snapshot.version}")
print(f"embedding {tuple(stream.embed().shape)}, mean loss {losses['loss']:.2f}")
learner.save("encoder/")
again = essl.load("encoder/")  # gives it back
print(f"loaded: {again.num_updates} updates, snapshot {again.snapshot.version}")
