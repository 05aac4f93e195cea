"""Label-free objectives: pure functions of shared latents, readings and masks. One family a file.

Importing the package registers all of them.
"""

from embodied_ssl.objectives import contrast, forward, inverse, reconstruction, spread
from embodied_ssl.objectives.base import OBJECTIVES, Dims, Latents, Objective

__all__ = [
    "OBJECTIVES",
    "Dims",
    "Latents",
    "Objective",
    "contrast",
    "forward",
    "inverse",
    "reconstruction",
    "spread",
]
