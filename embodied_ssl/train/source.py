"""What a run takes its ticks from. The loop advances a source and knows nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.config import Config
from embodied_ssl.learner.checkpoint import Part
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.spec import StreamSpec

Parts = Mapping[str, Part]
"""Parts of a checkpoint by name."""


class Ended(NamedTuple):
    """An episode that came to its end.

    Attributes:
        total: its undiscounted return.
        length: its ticks after the first.
    """

    total: float
    length: int


class Source(Protocol):
    """Robots, or what was recorded of them.

    Life of one: it is made and says what flows (`spec`, `num_lanes`); it may bring the `buffer` that the learner will
    learn from; `attach` binds it to the learner; then `begin` or `load_state`, and `advance` until it is exhausted.
    """

    spec: StreamSpec
    """The sensors."""
    num_lanes: int
    """Robots side by side."""
    camera_backend: str
    """What drew the frames; ``none`` without cameras."""
    refills: bool
    """Whether `load_state` brings the buffer's contents back, so that checkpoints need not hold them."""

    def buffer(self, config: Config) -> StreamBuffer | None:
        """Return the buffer to learn from, None for one as ``config.buffer`` says."""
        ...

    def attach(self, learner: OnlineLearner, pilot: Pilot) -> None:
        """Bind to the learner whose buffer is filled, and to the policy that acts."""
        ...

    def begin(self) -> list[str]:
        """Take in what comes before the first step; return what people should know."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to take in; never of robots."""
        ...

    def advance(self) -> list[Ended]:
        """Take in one step of all lanes; return the episodes that ended with it."""
        ...

    def state(self) -> Parts:
        """Return its parts of a checkpoint, under names of its own."""
        ...

    def load_state(self, parts: Parts) -> list[str]:
        """Go on from `state`; buffer, learner and policy are restored. Return what people should know."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return JSON-able facts for the summary: where the ticks came from (``source``), what was counted."""
        ...

    def close(self) -> None:
        """Let go of env and files."""
        ...
