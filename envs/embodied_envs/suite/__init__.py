"""Six tasks of the DeepMind Control Suite, batched natively under the MuJoCo that this package uses.

Models are the installed `dm_control` package's own files (extra `dmc`), read without importing it; rewards,
observations and start states are written anew from the paper and its behaviour, and held against recorded steps of the
original in `tests/envs/suite/golden`.

Source: Tassa et al. 2018, DeepMind Control Suite, arXiv:1801.00690.
"""

__all__ = ["ACTION_REPEAT", "SUITE"]

SUITE = {
    "cartpole-swingup": "embodied_envs.suite.cartpole:SWINGUP",
    "reacher-easy": "embodied_envs.suite.reacher:EASY",
    "cheetah-run": "embodied_envs.suite.cheetah:RUN",
    "walker-walk": "embodied_envs.suite.walker:WALK",
    "finger-spin": "embodied_envs.suite.finger:SPIN",
    "ball-in-cup-catch": "embodied_envs.suite.ball_in_cup:CATCH",
}
"""Task's name -> module:attribute of its RobotSpec; each is the environment `DMC/<name>-v0`."""

ACTION_REPEAT = {
    "cartpole-swingup": 8,
    "reacher-easy": 4,
    "cheetah-run": 4,
    "walker-walk": 2,
    "finger-spin": 2,
    "ball-in-cup-catch": 4,
}
"""Control periods that one action lasts in the published results from pixels.

Source: Hafner et al. 2019, Learning Latent Dynamics for Planning from Pixels, arXiv:1811.04551, appendix A; used since
by SAC-AE, CURL, RAD and DrQ. The suite itself, and results from states, repeat nothing.
"""
