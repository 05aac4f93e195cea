"""Simulated robots for Gymnasium, batched with MuJoCo.

Importing this package registers the environments by string entry points and loads neither MuJoCo nor a GL library:

    gym.make("embodied_envs:Embodied/Runner-v0")
    gym.make_vec("embodied_envs:Embodied/Runner-v0", num_envs=16)

Files to read first: `robots/runner.py` (what a robot is), `batch_vector_env.py` (what a step is), `sensors.py` (what an
observation key means).
"""

from gymnasium.envs.registration import register

__all__ = ["ENV_IDS"]

ENV_IDS = ("Embodied/Runner-v0",)

register(
    id="Embodied/Runner-v0",
    entry_point="embodied_envs.single_env:SingleLaneEnv",
    vector_entry_point="embodied_envs.batch_vector_env:BatchVectorEnv",
    kwargs={"robot": "Runner"},
)
