"""What a written digit is like, whatever its class: tilt, weight and size (Morpho-MNIST).

The definitions are those of Castro et al. (2019, arXiv 1809.10780); pixels are the unit. A picture
of which a property is not defined, such as an empty one, has NaN.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from lightning_ecinn.metrics.checks import same_pictures

__all__ = ["ink", "shape_height", "shape_width", "slant", "stroke_thickness"]

_FINER = 4
"""How much pictures are enlarged before strokes are measured, as in Morpho-MNIST."""
_APART = 1.6
"""Distance of the two nearest points of the background, in depths: 106 degrees or more apart."""
_CUT = 0.01
"""Share of the ink beyond each side of the parallelogram around a digit, as in Morpho-MNIST."""
_FLAT = 1 / 12
"""Variance in pixels² of what is one row high: no more than that has no slant."""


def slant(pictures: Tensor) -> Tensor:
    r"""How far a digit leans: the shear that its moments show, positive to the right, as in "/".

    .. math:: \mathrm{slant} = \arctan(-u_{11} / u_{02})

    with the central moments of the grey levels u11 (x and y, downwards) and u02 (y alone).

    Args:
        pictures: (B, 1, H, W) in [0, 1], light on dark.

    Returns:
        (B,) float64, in degrees from -90 to 90; NaN for an empty picture and one row of pixels.

    Example:
        >>> slant(torch.eye(5).flip(1)[None, None])
        tensor([45.], dtype=torch.float64)
    """
    return torch.atan(-_shear(_grey(pictures))).rad2deg().to(pictures.device)


def stroke_thickness(pictures: Tensor) -> Tensor:
    """Mean thickness of the strokes: twice the distance to the background along their middle.

    The picture is enlarged by 4 (bicubic) and split at half of its largest grey level; what lies
    outside the picture is background. The middle is the medial axis, see :func:`_middle`.

    Args:
        pictures: (B, 1, H, W) in [0, 1], light on dark.

    Returns:
        (B,) float64, in pixels, up to a quarter less of strokes aslant, whose enlarged edges are
        stairs; NaN for an empty picture.

    Example:
        >>> bar = torch.zeros(1, 1, 12, 12)
        >>> bar[..., 4:7] = 1
        >>> stroke_thickness(bar)
        tensor([3.], dtype=torch.float64)
    """
    grey = _grey(pictures)
    size = [_FINER * side for side in grey.shape[1:]]
    finer = F.interpolate(grey[:, None], size, mode="bicubic", align_corners=False)[:, 0]
    largest = grey.amax((1, 2), keepdim=True)
    middle, distance = _middle(((finer >= largest / 2) & (largest > 0)).numpy())
    total = torch.from_numpy((distance * middle).sum((1, 2)))
    thickness = 2 * total / torch.from_numpy(middle.sum((1, 2))) / _FINER
    return thickness.to(pictures.device)


def shape_height(pictures: Tensor) -> Tensor:
    """Height of the rows that hold 98 % of the ink, 1 % lying above and 1 % below.

    A row's ink is spread evenly over its height. Without the cut a faint haze would be as high as
    the picture.

    Args:
        pictures: (B, 1, H, W) in [0, 1], light on dark.

    Returns:
        (B,) float64, in pixels; NaN for an empty picture.

    Example:
        >>> bar = torch.zeros(1, 1, 120, 3)
        >>> bar[:, :, 10:110] = 1
        >>> shape_height(bar)
        tensor([98.0000], dtype=torch.float64)
    """
    rows = _grey(pictures).sum(2)
    place = torch.arange(rows.shape[1], dtype=rows.dtype).expand_as(rows)
    return _extent(place, rows).to(pictures.device)


def shape_width(pictures: Tensor) -> Tensor:
    """Width of the columns that hold 98 % of the ink once the slant is taken away by a shear.

    The width of Morpho-MNIST's bounding parallelogram, 1 % of the ink lying on either side of it.

    Args:
        pictures: (B, 1, H, W) in [0, 1], light on dark.

    Returns:
        (B,) float64, in pixels; NaN for an empty picture.

    Example:
        >>> bar = torch.zeros(1, 1, 5, 120)
        >>> bar[..., 10:110] = 1
        >>> shape_width(bar)
        tensor([98.0000], dtype=torch.float64)
    """
    grey = _grey(pictures)
    y, x = _places(grey)
    upright = x - _shear(grey).nan_to_num(0)[:, None, None] * y
    return _extent(upright.flatten(1), grey.flatten(1)).to(pictures.device)


def ink(pictures: Tensor) -> Tensor:
    """How much is written: the sum of the grey levels, in white pixels.

    Args:
        pictures: (B, 1, H, W) in [0, 1], light on dark.

    Returns:
        (B,) float64; NaN for an empty picture, as of all its properties.

    Example:
        >>> ink(torch.full((1, 1, 4, 4), 0.5))
        tensor([8.], dtype=torch.float64)
    """
    total = _grey(pictures).sum((1, 2))
    return total.masked_fill(total == 0, math.nan).to(pictures.device)


def _grey(pictures: Tensor) -> Tensor:
    """Grey levels of at least 0, (B, H, W) float64, where scipy can read them."""
    grey, _ = same_pictures(pictures, pictures)
    if grey.shape[1] != 1:
        raise ValueError(
            f"Tilt, weight and size are of pictures with one channel, got {tuple(grey.shape)}: "
            "average the channels."
        )
    return grey.detach()[:, 0].cpu().clamp_min(0)


def _places(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Places y and x of each pixel from the centre of gravity, each (B, H, W); NaN without ink."""
    total = grey.sum((1, 2))
    lines = [torch.arange(side, dtype=grey.dtype) for side in grey.shape[1:]]
    y, x = torch.meshgrid(*lines, indexing="ij")
    y, x = (v - ((grey * v).sum((1, 2)) / total)[:, None, None] for v in (y, x))
    return y, x


def _shear(grey: Tensor) -> Tensor:
    """u11 / u02, (B,): how much x grows with y; NaN where there is no height to say."""
    y, x = _places(grey)
    u11, u02 = ((grey * y * v).sum((1, 2)) for v in (x, y))
    return torch.where(u02 > _FLAT * grey.sum((1, 2)), u11 / u02, math.nan)


def _extent(place: Tensor, weight: Tensor) -> Tensor:
    """Length (B,) between the quantiles of boxes of width 1 at `place`, of `weight`, both (B, N).

    The ends are found by bisection: the share on the left of t grows with t.
    """
    total = weight.sum(1)
    share = weight / total[:, None]
    outer = place.amin(1) - 0.5, place.amax(1) + 0.5
    ends = []
    for level in (_CUT, 1 - _CUT):
        low, high = outer
        for _ in range(50):
            t = (low + high) / 2
            left = (share * (t[:, None] - place + 0.5).clamp(0, 1)).sum(1) < level
            low, high = torch.where(left, t, low), torch.where(left, high, t)
        ends.append((low + high) / 2)
    return (ends[1] - ends[0]).masked_fill(total == 0, math.nan)


def _middle(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The medial axis and the distance to the background, each (B, H + 2, W + 2).

    The integer medial axis (Hesselink and Roerdink 2008): of two neighbouring pixels whose nearest
    background lies in different directions, the one nearer to the line that is as far from both.
    They must be well over a right angle apart, so that no branch leads into corners and bumps; the
    deepest pixels are always part of it.

    Args:
        inside: bool (B, H, W); around it all is background.
    """
    padded = np.pad(inside, ((0, 0), (1, 1), (1, 1)))
    across = padded.shape[2]
    # One above the other: no pixel's nearest background is beyond the edge of its own picture.
    depth, (row, column) = distance_transform_edt(padded.reshape(-1, across), return_indices=True)
    depth, row, column, flat = (v.ravel() for v in (depth, row, column, padded))
    distance = depth.reshape(padded.shape)
    deepest = distance.max((1, 2), keepdims=True)
    middle = (padded & (distance == deepest)).ravel()
    pixels = np.flatnonzero(flat)
    for step, down, right in ((1, 0, 1), (across, 1, 0)):
        a = pixels[flat[pixels + step]]
        b = a + step
        apart = row[b] - row[a], column[b] - column[a]
        far = np.hypot(*apart) - 1 > _APART * np.maximum(depth[a], depth[b])
        a, b, dy, dx = (v[far] for v in (a, b, *apart))
        y, x = np.divmod(a, across)
        side = dy * (row[a] + row[b] - 2 * y - down) + dx * (column[a] + column[b] - 2 * x - right)
        middle[a[side >= 0]] = True
        middle[b[side <= 0]] = True
    return middle.reshape(padded.shape), distance
