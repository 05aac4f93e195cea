"""The encoder: tokenisers, fusion that tolerates missing sensors, and a causal temporal core."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import EncoderConfig
from embodied_ssl.encoders.core import WindowCore
from embodied_ssl.encoders.tokenizers import FrameTokenizer, RowTokenizer
from embodied_ssl.spec import StreamSpec


@dataclass(frozen=True)
class View:
    """One augmentation of a batch, drawn outside the update, once per window.

    Attributes:
        jitter: per vector sensor, noise in standardised units shaped as its rows ``(B, L, R, *shape)``.
        shift: per image sensor, ``(B, 2)`` int64 pixels.
        keep: ``(B, S + 1)`` bool, false hides a sensor (spec order; the action last) in a window; None hides none.
    """

    jitter: dict[str, Tensor]
    shift: dict[str, Tensor]
    keep: Tensor | None = None


class StreamEncoder(nn.Module):
    """Encodes windows of a stream; the same numbers tick by tick with a carried state.

    The features of a tick are the tokens of all sensors side by side, zeros where a sensor is missing, hidden or
    outside the episode (each has a mask bit that says so), followed by the action that led to the tick. The
    carried state of the step form is the features of the last C - 1 ticks: the receptive field is exactly C ticks.
    """

    def __init__(self, spec: StreamSpec, config: EncoderConfig) -> None:
        """Build for the sensors of ``spec``."""
        super().__init__()
        self.spec, self.config = spec, config
        tokenizers = [
            FrameTokenizer(spec, sensor, config.image_dim) if sensor.is_image else RowTokenizer(spec, sensor)
            for sensor in spec.sensors
        ]
        # By position, since a ModuleDict forbids dots in names.
        self.tokenizers = nn.ModuleList(tokenizers)
        self.tick_dim = sum(tokenizer.features_dim for tokenizer in tokenizers) + spec.action_size + 1
        self.core = WindowCore(self.tick_dim, config.context_ticks, config.hidden_dim, config.features_dim)
        self.features_dim = config.features_dim

    @property
    def context_ticks(self) -> int:
        """Ticks that an embedding sees."""
        return self.config.context_ticks

    def forward(self, windows: Windows, view: View | None = None) -> Tensor:
        """Return embeddings ``(B, P, D)`` at the last P = L - C + 1 ticks of each window."""
        return self.core(self.tick_features(windows, view))

    def tick_features(self, windows: Windows, view: View | None = None) -> Tensor:
        """Return the fused features ``(B, L, F)`` of every tick; all zeros outside the episode."""
        parts = []
        for index, (sensor, tokenizer) in enumerate(zip(self.spec.sensors, self.tokenizers, strict=True)):
            keep = view.keep[:, index] if view is not None and view.keep is not None else None
            if sensor.is_image:
                parts.append(tokenizer(windows.frames[sensor.name], view and view.shift[sensor.name], keep))
            else:
                parts.append(tokenizer(windows.rows[sensor.name], view and view.jitter[sensor.name], keep))
        mask = windows.action_mask
        if view is not None and view.keep is not None:
            mask = mask & view.keep[:, -1:]
        parts += [windows.action * mask[..., None], mask[..., None].to(windows.action.dtype)]
        return torch.cat(parts, dim=2)

    def initial_state(self, num_lanes: int) -> Tensor:
        """Return the state before any tick: ``(N, C - 1, F)`` zeros."""
        return self.core.read.weight.new_zeros(num_lanes, self.context_ticks - 1, self.tick_dim)

    def step(self, state: Tensor, newest: Windows) -> tuple[Tensor, Tensor]:
        """Advance by one tick.

        Args:
            state: ``(N, C - 1, F)``.
            newest: windows of length 1: the newest tick of each lane.

        Returns:
            Embeddings ``(N, D)`` and the next state; a lane whose episode begins here forgets first.
        """
        begins = (newest.tick[:, 0] == newest.start)[:, None, None]
        features = torch.cat([state.masked_fill(begins, 0.0), self.tick_features(newest)], dim=1)
        return self.core(features)[:, 0], features[:, 1:]

    def observe_statistics(self, windows: Windows) -> None:
        """Merge the rows that arrived in ``windows`` into the running normalisation."""
        for sensor, tokenizer in zip(self.spec.sensors, self.tokenizers, strict=True):
            if isinstance(tokenizer, RowTokenizer):
                rows = windows.rows[sensor.name]
                tokenizer.standardizer.update(rows.values, rows.fresh)

    def readings(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Return standardised clean readings ``(B, L, S)`` of all vector sensors and their mask ``(B, L, S)``.

        Only rows that arrived at the very tick count: held values are no targets.
        """
        # Begun with nothing, of width 0: a stream may have no vector sensor at all.
        values, masks = [windows.action[..., :0]], [windows.valid[..., None][..., :0]]
        for sensor, tokenizer in zip(self.spec.sensors, self.tokenizers, strict=True):
            if isinstance(tokenizer, RowTokenizer):
                rows = windows.rows[sensor.name]
                standardized = tokenizer.standardizer(rows.values).flatten(3)
                values.append(standardized.flatten(2))
                masks.append(rows.fresh[..., None].expand_as(standardized).flatten(2))
        return torch.cat(values, 2), torch.cat(masks, 2)

    @property
    def sensor_dims(self) -> tuple[int, ...]:
        """Width of each vector sensor in `readings`."""
        return tuple(self.spec.rows_per_tick(s) * s.size for s in self.spec.vectors)
