"""A matrix that is not trained, with its inverse and determinant to full precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["FixedMatrix", "without_autocast"]


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Products with x keep its precision under autocast: what is to be inverted is not rounded."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


class FixedMatrix(nn.Module):
    """A constant invertible matrix, its inverse, and the log of its absolute determinant.

    The values are kept in double precision beside the buffers, so that a conversion to float64
    is exact: a rotation rounded to float32 is orthogonal to 1e-7 only, and in float64 its
    transpose would not be its inverse to the last digits, nor its determinant 1.

    Attributes:
        matrix: (N, N), in the checkpoint; a loaded one replaces the one of the constructor.
        inverse: (N, N).
        log_abs_det: a number.
    """

    matrix: Tensor
    inverse: Tensor

    def __init__(self, matrix: Tensor):
        super().__init__()
        self.register_buffer("matrix", torch.empty(matrix.shape))
        self.register_buffer("inverse", torch.empty(matrix.shape), persistent=False)
        self._set(matrix)
        self._refresh()

    def _set(self, matrix: Tensor) -> None:
        self._exact = matrix.detach().double().cpu().clone()
        self._exact_inverse = torch.linalg.inv(self._exact)
        self.log_abs_det = torch.linalg.slogdet(self._exact).logabsdet.item()

    def _refresh(self) -> None:
        self.matrix = self._exact.to(self.matrix, copy=True)
        self.inverse = self._exact_inverse.to(self.matrix, copy=True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FixedMatrix:
        super()._apply(fn, recurse)
        self._refresh()
        return self

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        loaded = state_dict.get(f"{prefix}matrix")
        if loaded is None or loaded.shape != self.matrix.shape or self.matrix.is_meta:
            return
        self._set(self.matrix)
        inverse, held = self._exact_inverse.to(self.matrix, copy=True), self.inverse
        is_alike = (held.device, held.dtype) == (inverse.device, inverse.dtype)
        if is_alike and not held.is_inference():
            # In place, as PyTorch loads weights: who holds the tensor, a CUDA graph say, goes on.
            held.copy_(inverse)
        else:
            self.inverse = inverse
