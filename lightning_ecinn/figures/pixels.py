"""Pictures and heatmaps as grey levels and colours, for whoever shows pictures pixel by pixel."""

from __future__ import annotations

import matplotlib
import numpy as np
from torch import Tensor

from lightning_ecinn.figures.canvas import BLUE_TO_RED
from lightning_ecinn.figures.heatmaps import heatmap_unit

__all__ = ["heatmap_pixels", "picture_pixels"]


def picture_pixels(picture: Tensor, side: int = 112) -> np.ndarray:
    """Colours (H', W', 3), uint8, of a picture (C, H, W), float in [0, 1], of 1 or 3 channels.

    Args:
        picture: what is shown.
        side: smaller pictures have every pixel repeated, until they are at least as high as this;
            viewers blur what they enlarge.

    Example:
        >>> import torch
        >>> picture_pixels(torch.ones(1, 28, 28)).shape
        (112, 112, 3)
    """
    levels = (255 * picture.detach().cpu()).round().byte().permute(1, 2, 0).numpy()
    colours = np.broadcast_to(levels, (*levels.shape[:2], 3))
    return _enlarged(colours, side)


def heatmap_pixels(heatmap: Tensor, side: int = 112) -> np.ndarray:
    """Colours (H', W', 3), uint8, of a heatmap (C, H, W): blue is darker, red brighter.

    Summed over channels, with a scale of its own that is symmetric about 0, as in panels.

    Args:
        heatmap: what is shown.
        side: as in :func:`picture_pixels`.

    Example:
        >>> import torch
        >>> heatmap_pixels(torch.tensor([[[-1.0, 0.0, 1.0]]]), side=1).tolist()
        [[[5, 48, 97], [247, 246, 246], [103, 0, 31]]]
    """
    values = heatmap.detach().double().sum(0).cpu()
    shown = (values / heatmap_unit(values)).clamp(-1, 1).numpy()
    colours = matplotlib.colormaps[BLUE_TO_RED]((shown + 1) / 2, bytes=True)
    return _enlarged(colours[:, :, :3], side)


def _enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    times = -(-side // pixels.shape[0])
    return np.ascontiguousarray(pixels.repeat(times, 0).repeat(times, 1))
