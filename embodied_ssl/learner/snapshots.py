"""Published, versioned, immutable encoder weights, and how far a publication moved the representation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from embodied_ssl.encoders.stream_encoder import StreamEncoder


@dataclass(frozen=True)
class Snapshot:
    """One published version of the encoder.

    Attributes:
        version: 0, 1, 2, ... in order of publication.
        updates: learner updates done when it was published.
        weights: every parameter and buffer by name, never written again.
    """

    version: int
    updates: int
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, encoder: StreamEncoder, version: int, updates: int) -> Snapshot:
        """Copy the weights of ``encoder``."""
        return cls(version, updates, {name: value.detach().clone() for name, value in encoder.state_dict().items()})


def debiased_cka(first: Tensor, second: Tensor) -> Tensor:
    """Return the debiased linear CKA of two embeddings ``(n, D)`` of the same inputs: 1 = same up to rotation.

    Unbiased HSIC (Song et al. 2012, eq. 5) in CKA (Kornblith et al. 2019, arXiv 1905.00414, eq. 2); independent
    features score 0 at any n, where the biased form scores .34 for 128 dimensions at n = 256.
    """
    gram_first, gram_second = _centred_gram(first), _centred_gram(second)
    cross = (gram_first * gram_second).sum()
    return cross / ((gram_first.square().sum() * gram_second.square().sum()).sqrt() + 1e-12)


def _centred_gram(features: Tensor) -> Tensor:
    """Return the U-centred Gram matrix (Szekely & Rizzo 2014): its products are unbiased HSIC up to a constant."""
    features = (features - features.mean(0)).double()
    gram = features @ features.T
    num = len(gram)
    gram.fill_diagonal_(0)
    row = gram.sum(1) / (num - 2)
    gram = gram - row[:, None] - row[None, :] + gram.sum() / ((num - 1) * (num - 2))
    return gram.fill_diagonal_(0)


def relative_shift(old: Tensor, new: Tensor) -> Tensor:
    """Return the root mean squared change of embeddings ``(n, D)`` over the standard deviation of the old ones."""
    spread = (old - old.mean(0)).square().sum(1).mean()
    return ((new - old).square().sum(1).mean() / spread.clamp(min=1e-12)).sqrt()
