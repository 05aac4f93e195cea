"""Online self-supervised learning from robot sensor streams.

Names are looked up on first use (PEP 562), so that importing the package, and the command's help, load no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embodied_ssl.config import Config
    from embodied_ssl.config_file import load_config
    from embodied_ssl.errors import EmbodiedSSLError
    from embodied_ssl.learner.online import OnlineLearner
    from embodied_ssl.learner.saved import load
    from embodied_ssl.logs import StreamLog
    from embodied_ssl.run_folder import RunFolder
    from embodied_ssl.spec import SensorSpec, StreamSpec

__version__ = "0.1.0"

__all__ = [
    "Config",
    "EmbodiedSSLError",
    "OnlineLearner",
    "RunFolder",
    "SensorSpec",
    "StreamLog",
    "StreamSpec",
    "__version__",
    "load",
    "load_config",
]

_HOMES = {
    "Config": "embodied_ssl.config",
    "EmbodiedSSLError": "embodied_ssl.errors",
    "OnlineLearner": "embodied_ssl.learner.online",
    "RunFolder": "embodied_ssl.run_folder",
    "SensorSpec": "embodied_ssl.spec",
    "StreamLog": "embodied_ssl.logs",
    "StreamSpec": "embodied_ssl.spec",
    "load": "embodied_ssl.learner.saved",
    "load_config": "embodied_ssl.config_file",
}
"""Module of each public name; beside the imports above, which only type checkers read."""


def __getattr__(name: str) -> Any:
    """Import a public name from its home and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
