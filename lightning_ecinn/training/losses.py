"""The information-bottleneck objective, term by term."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["IBLoss", "bits_per_dim", "bits_per_dim_paper", "information_bottleneck_loss"]


class IBLoss(NamedTuple):
    """The loss and its parts, each (B,) before or () after averaging."""

    total: Tensor
    """2 / (1 + beta) L_X + 2 beta / (1 + beta) L_Y."""
    l_x: Tensor
    """Generative part, nats per dimension, up to the constant log(2 pi) / 2."""
    l_y: Tensor
    """Classification part, nats."""


def information_bottleneck_loss(
    logits: Tensor,
    log_det: Tensor,
    mixture_logits: Tensor,
    labels: Tensor,
    *,
    beta: float,
    num_dims: int,
    label_smoothing: float = 0.0,
) -> IBLoss:
    r"""IB-INN's loss per picture (Eq. 9; Ardizzone et al. 2020), its parts (B,) each.

    .. math::
        L_X &= -\tfrac1D \Big[\log \textstyle\sum_y w_y e^{-\|z - \mu_y\|^2 / 2}
               + \log|\det J|\Big] \\
        L_Y &= -\textstyle\sum_y t_y \big[\log \mathrm{softmax}_y(-\tfrac12 \|z - \mu_y\|^2
               + \log w_y) - \log w_y\big] \\
        L &= \tfrac{2}{1 + \beta} L_X + \tfrac{2 \beta}{1 + \beta} L_Y

    log w is held fixed in L_Y. beta = 0 is a density model, beta = inf a plain classifier.

    Args:
        logits: (B, K), -1/2 ||z - mu_y||^2.
        log_det: (B,), nats.
        mixture_logits: phi (K,).
        labels: (B,), integers.
        beta: trade-off, 0 to infinity.
        num_dims: D.
        label_smoothing: t_y is (1 - s) + s / K at the label and s / K elsewhere.
    """
    if not beta >= 0:
        raise ValueError(f"beta must be 0 or larger (infinity allowed), got {beta}.")
    log_w = mixture_logits.log_softmax(0)
    l_x = -(torch.logsumexp(logits + log_w, dim=1) + log_det) / num_dims
    log_w = log_w.detach()
    l_y = F.cross_entropy(logits + log_w, labels, reduction="none", label_smoothing=label_smoothing)
    l_y = l_y + (1 - label_smoothing) * log_w[labels] + label_smoothing * log_w.mean()
    generative = 2 / (1 + beta)
    return IBLoss(generative * l_x + (2 - generative) * l_y, l_x, l_y)


def bits_per_dim(log_prob: Tensor, num_dims: int) -> Tensor:
    """Bits per dimension of 8-bit pictures from log p(x') of dequantised ones x' in [0, 1]."""
    return 8 - log_prob / (num_dims * math.log(2))


def bits_per_dim_paper(l_x: Tensor) -> Tensor:
    """Bits per dimension in the convention of the paper's Table 1, from L_X.

    For comparison with that table only: it leaves out constants. For grey pictures it is
    log2(2 pi) - 1 = 1.65 bits below the exact value.
    """
    return (l_x + math.log(256) - math.log(2 * math.pi) / 2) / math.log(2)
