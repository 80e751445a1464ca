"""Pictures in the shape that a classifier takes, and its failures in one sentence."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from lightning_ecinn.blackbox.predictor import put_in_evaluation

__all__ = ["Fitted", "Takes", "failure"]


@dataclass(frozen=True)
class Takes:
    """What pictures a file's classifier takes; None where any do.

    Attributes:
        batch: how many at once.
        channels: C.
        size: (H, W).
        channels_last: whether they are (B, H, W, C).
        flat: whether they are rows (B, C H W).
        uint8: whether they are grey levels.
    """

    batch: int | None = None
    channels: int | None = None
    size: tuple[int, int] | None = None
    channels_last: bool = False
    flat: bool = False
    uint8: bool = False


class Fitted(nn.Module):
    """A classifier of pictures of any size.

    They are resized (bilinear, antialiased) to the size that it takes, grey ones repeated to its
    channels, batches padded to the length that it was exported with.

    Args:
        predict: a module or function.
        name: what it is called in errors.
        takes: what it takes.

    Raises:
        ValueError: when asked, for pictures in more channels than it takes, and when it fails.

    Example:
        >>> asked = Fitted(lambda x: x.flatten(1)[:, :2], "mine.onnx", Takes(size=(4, 4)))
        >>> asked(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self, predict: nn.Module | Callable[..., Any], name: str, takes: Takes | None = None
    ):
        super().__init__()
        self.predict, self.name, self.takes = predict, name, takes or Takes()

    def train(self, mode: bool = True) -> Fitted:
        """Evaluation mode for good; exported programs have no other."""
        self.training = False
        if isinstance(self.predict, nn.Module):
            put_in_evaluation(self.predict)
        return self

    def forward(self, pictures: Tensor) -> Any:
        """What it answers of pictures (B, C, H, W)."""
        fitting = self._fitting(pictures)
        size = self.takes.batch
        if size is None:
            return self._asked(fitting)
        parts = []
        for part in fitting.split(size):
            filled = pad(part, (0, 0) * (part.ndim - 1) + (0, size - len(part)))
            parts.append(torch.as_tensor(self._asked(filled))[: len(part)])
        return torch.cat(parts)

    def _asked(self, pictures: Tensor) -> Any:
        try:
            return self.predict(pictures)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # anything can go wrong in a stranger's function
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise ValueError(
                f"The classifier {self.name} fails on pictures {tuple(pictures.shape)} of "
                f"{pictures.dtype}: {failure(error)} ({last.filename}, line {last.lineno})."
            ) from error

    def _fitting(self, pictures: Tensor) -> Tensor:
        takes, channels = self.takes, pictures.shape[1]
        if takes.size is not None and tuple(pictures.shape[2:]) != takes.size:
            like = pictures.dtype
            scaled = interpolate(
                pictures.float(), takes.size, mode="bilinear", align_corners=False, antialias=True
            )
            pictures = scaled if like.is_floating_point else scaled.round().to(like)
        if takes.channels is not None and channels != takes.channels:
            if channels != 1:
                raise ValueError(
                    f"The classifier {self.name} takes pictures of {takes.channels} channels, but "
                    f"these have {channels}: give a flow of such pictures, and no pictures "
                    '"imagenet", which makes three channels of grey ones.'
                )
            pictures = pictures.expand(-1, takes.channels, -1, -1)
        if takes.flat:
            return pictures.flatten(1)
        return pictures.permute(0, 2, 3, 1) if takes.channels_last else pictures


def failure(error: Exception) -> str:
    """Kind and message of what a stranger's program raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
