"""What made pictures are made of: things in them that can be switched one by one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Factor"]


@dataclass(frozen=True)
class Factor:
    """One factor of variation of some images: the label, or something else that is in them.

    Attributes:
        switched: (B, C, H, W) uint8, the same images with this changed and nothing else: a
            classifier whose answer changes uses it.
        pixels: bool, (B, 1, H, W), the pixels that depend on it.

    Example:
        >>> faces = DrawnFaces("Wearing_Lipstick", num_train=8, num_test=4, val_size=2)
        >>> factors = faces.factors("test", torch.arange(4))
        >>> list(factors)[:2], factors["Smiling"].pixels.shape
        (['Wearing_Lipstick', 'Smiling'], torch.Size([4, 1, 64, 64]))
    """

    switched: Tensor
    pixels: Tensor
