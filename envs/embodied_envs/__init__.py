"""Simulated robots for Gymnasium, batched with MuJoCo.

Importing this package registers the environments by string entry points and loads neither MuJoCo nor a GL library:

    gym.make("embodied_envs:Embodied/Runner-v0")
    gym.make_vec("embodied_envs:Embodied/Runner-v0", num_envs=16)
    gym.make_vec("embodied_envs:DMC/walker-walk-v0", num_envs=16)  # extra `dmc`
    gym.make_vec("embodied_envs:Warp/Runner-v0", num_envs=4096)  # extra `warp`: MuJoCo Warp, tensors on the device

Files to read first: `robots/runner.py` (what a robot is), `batch_vector_env.py` (what a step is), `sensors.py` (what an
observation key means).
"""

from gymnasium.envs.registration import register

from embodied_envs.robots import ROBOTS
from embodied_envs.suite import SUITE

__all__ = ["ENV_IDS", "SUITE_IDS"]

ENV_IDS = tuple(f"Embodied/{name}-v0" for name in ROBOTS)
SUITE_IDS = tuple(f"DMC/{name}-v0" for name in SUITE)


def _register(env_id: str, **kwargs: object) -> None:
    register(
        id=env_id,
        entry_point="embodied_envs.single_env:SingleLaneEnv",
        vector_entry_point="embodied_envs.batch_vector_env:BatchVectorEnv",
        kwargs=kwargs,
    )


for _name, _id in zip(ROBOTS, ENV_IDS, strict=True):
    _register(_id, robot=_name)
for _name, _id in zip(SUITE, SUITE_IDS, strict=True):
    _register(_id, robot=_name, cameras=False)  # the suite's tasks observe states unless pixels are asked for
# Only a vector environment: on a GPU one lane makes no sense. Extra `warp`; tasks in `embodied_envs.warp`.
register(
    id="Warp/Runner-v0",
    vector_entry_point="embodied_envs.warp.vector_env:WarpVectorEnv",
    kwargs={"robot": "Runner"},
)
