"""Pure functions of embeddings: how many dimensions are in use, and how much each one moves."""

from __future__ import annotations

import torch
from torch import Tensor


def effective_rank(embedding: Tensor) -> Tensor:
    """Return RankMe of centred ``embedding (n, D)``: the exponential of the entropy of its singular values.

    Guards against collapse and nothing more: random features have the highest. Source: Garrido et al. 2022
    (arXiv 2210.02885), eq. 1. Deviation: the mean is removed, and singular values come from the D x D covariance.
    """
    centred = (embedding - embedding.mean(0)).double()
    gram = centred.T @ centred
    finite = torch.isfinite(gram).all()  # the solver raises on anything else; the rank of that is NaN
    values = torch.linalg.eigvalsh(torch.where(finite, gram, 0)).clamp(min=0).sqrt()
    share = values / values.sum().clamp(min=1e-12) + 1e-7
    return torch.where(finite, torch.exp(-(share * share.log()).sum()), torch.nan).float()


def spread(embedding: Tensor) -> Tensor:
    """Return the standard deviation ``(D,)`` of every dimension of ``embedding (n, D)``."""
    return embedding.std(0)
