"""What drawn faces look like: one row of numbers for each face, and how they are chosen."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

__all__ = ["ATTRIBUTES", "Attribute", "FaceParameters", "draw_parameters"]

Attribute = Literal["Smiling", "High_Cheekbones", "Wearing_Lipstick", "Heavy_Makeup"]
"""What can be switched on and off, named as in CelebA."""

ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
"""In the order of the last index of `FaceParameters.attributes`."""

_Palette = tuple[tuple[float, float, float], ...]

_SKIN: _Palette = ((0.96, 0.82, 0.72), (0.87, 0.68, 0.54), (0.70, 0.50, 0.37), (0.48, 0.33, 0.25))
_HAIR: _Palette = ((0.09, 0.07, 0.07), (0.30, 0.18, 0.11), (0.52, 0.33, 0.17), (0.84, 0.68, 0.38),
                   (0.58, 0.24, 0.11), (0.60, 0.59, 0.58))  # fmt: skip
_IRIS: _Palette = ((0.28, 0.17, 0.10), (0.25, 0.40, 0.58), (0.30, 0.42, 0.25), (0.38, 0.38, 0.40))
_LIPSTICK: _Palette = ((0.78, 0.06, 0.12), (0.85, 0.16, 0.36), (0.58, 0.05, 0.22))
_SHADOW: _Palette = ((0.36, 0.24, 0.56), (0.20, 0.36, 0.62), (0.55, 0.25, 0.42))

_HEAD = {"width": (0.50, 0.58), "jaw": (0.10, 0.30)}
_FEATURES = {
    "hairline": (-0.52, -0.36),
    "hair_length": (-0.1, 0.9),
    "parting": (-0.3, 0.3),
    "eye_distance": (0.21, 0.25),
    "eye_size": (0.10, 0.125),
    "brow": (0.018, 0.035),
    "nose": (0.06, 0.09),
    "mouth_width": (0.19, 0.24),
    "lips": (0.045, 0.065),
    "smile": (0.10, 0.17),
    "frown": (-0.05, 0.01),
    "teeth": (0.0, 0.05),
}
"""Lowest and highest value of what is drawn uniformly."""


@dataclass(frozen=True)
class FaceParameters:
    """What faces look like; every field has N rows, one per face.

    Lengths are in units of half the picture's side, y pointing down, colours RGB in [0, 1].

    Attributes:
        attributes: bool (N, 4), in the order of `ATTRIBUTES`.
        shift: (N, 2), where the middle of the face lies, x then y.
        size: (N,), 1 for a face of average size.
        tilt: (N,), radians, clockwise.
        turn: (N,), how far the head is turned, -1 to 1: moves what lies in the middle of the face.
        width: (N,), half the width of the face.
        jaw: (N,), how much narrower the face is at the chin.
        skin, hair, iris, clothes, lipstick, shadow: (N, 3), colours.
        top, bottom: (N, 3), colours of the background.
        light: (N, 2), how much brighter the picture gets to the right and to the bottom.
        hairline: (N,), y of the hair's edge on the forehead.
        hair_length: (N,), y of the lower end of the hair.
        parting: (N,), x of the highest point of the hairline.
        eye_distance: (N,), half of it.
        eye_size: (N,), half the width of an eye.
        brow: (N,), thickness of the eyebrows.
        nose: (N,), half the width of the nose.
        mouth_width: (N,), half of it.
        lips: (N,), thickness of the lips.
        smile: (N,), how far the corners of a smiling mouth are raised.
        frown: (N,), how far those of another mouth are raised (negative: lowered).
        teeth: (N,), how far a smiling mouth is open.
    """

    attributes: Tensor
    shift: Tensor
    size: Tensor
    tilt: Tensor
    turn: Tensor
    width: Tensor
    jaw: Tensor
    skin: Tensor
    hair: Tensor
    iris: Tensor
    clothes: Tensor
    lipstick: Tensor
    shadow: Tensor
    top: Tensor
    bottom: Tensor
    light: Tensor
    hairline: Tensor
    hair_length: Tensor
    parting: Tensor
    eye_distance: Tensor
    eye_size: Tensor
    brow: Tensor
    nose: Tensor
    mouth_width: Tensor
    lips: Tensor
    smile: Tensor
    frown: Tensor
    teeth: Tensor

    def __len__(self) -> int:
        """Return the number of faces, N."""
        return len(self.attributes)

    def __getitem__(self, indices: Tensor | slice) -> FaceParameters:
        """Return some of the faces."""
        return FaceParameters(*(getattr(self, field.name)[indices] for field in fields(self)))

    def with_attribute(self, attribute: int, values: Tensor) -> FaceParameters:
        """Return the same faces but for one attribute, whose values (N,) are given."""
        attributes = self.attributes.clone()
        attributes[:, attribute] = values
        return replace(self, attributes=attributes)


def draw_parameters(
    num_faces: int, state: np.random.RandomState, correlation: float = 0.0, pose: float = 1.0
) -> FaceParameters:
    """Draw faces at random; every attribute has each of them with probability 1/2.

    Args:
        num_faces: N.
        state: the source of randomness.
        correlation: of lipstick and make-up, -1 to 1; everything else is independent.
        pose: factor of shift, tilt, turn and differences in size.
    """
    draw = _Draws(num_faces, state)
    attributes = _draw_attributes(num_faces, state, correlation)
    background = draw.greyish(0.3, 0.75, 0.15)
    # One stream of random numbers feeds them all: in another order they would be other faces.
    return FaceParameters(
        attributes=attributes,
        shift=pose * draw.uniform(-0.05, 0.05, 2),
        size=1 + pose * draw.uniform(-0.06, 0.08),
        tilt=pose * draw.uniform(-0.12, 0.12),
        turn=pose * draw.uniform(-1, 1),
        **draw.each(_HEAD),
        skin=draw.mixed(_SKIN, 0.02),
        hair=draw.picked(_HAIR, 0.04),
        iris=draw.picked(_IRIS, 0.03),
        clothes=draw.greyish(0.2, 0.7, 0.2),
        lipstick=draw.picked(_LIPSTICK, 0.04),
        shadow=draw.picked(_SHADOW, 0.04),
        top=background,
        bottom=background + draw.uniform(-0.15, 0.15, 3),
        light=draw.uniform(-0.16, 0.16, 2),
        **draw.each(_FEATURES),
    )


def _draw_attributes(num_faces: int, state: np.random.RandomState, correlation: float) -> Tensor:
    """Draw attributes (N, 4) bool."""
    attributes = torch.from_numpy(state.uniform(size=(num_faces, len(ATTRIBUTES))) < 0.5)
    same = torch.from_numpy(state.uniform(size=num_faces) < (1 + correlation) / 2)
    attributes[:, 3] = attributes[:, 2] == same
    return attributes


class _Draws:
    """Random numbers and colours, one row for each of N faces."""

    def __init__(self, num_faces: int, state: np.random.RandomState) -> None:
        self.num_faces = num_faces
        self.state = state

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        """Draw (N, *size) numbers."""
        values = self.state.uniform(low, high, (self.num_faces, *size))
        return torch.from_numpy(values).float()

    def each(self, ranges: dict[str, tuple[float, float]]) -> dict[str, Tensor]:
        """Draw (N,) numbers for each name, in order."""
        return {name: self.uniform(low, high) for name, (low, high) in ranges.items()}

    def greyish(self, low: float, high: float, jitter: float) -> Tensor:
        """Draw colours (N, 3) near a grey level."""
        return self.uniform(low, high).unsqueeze(1) + self.uniform(-jitter, jitter, 3)

    def mixed(self, palette: _Palette, jitter: float) -> Tensor:
        """Draw colours (N, 3) between two neighbours of a palette."""
        colours = torch.tensor(palette)
        place = self.uniform(0, len(palette) - 1)
        low = place.long().clamp(max=len(palette) - 2)
        share = (place - low).unsqueeze(1)
        colour = colours[low] * (1 - share) + colours[low + 1] * share
        return (colour + self.uniform(-jitter, jitter, 3)).clamp(0, 1)

    def picked(self, palette: _Palette, jitter: float) -> Tensor:
        """Draw colours (N, 3) near one of a palette."""
        chosen = torch.from_numpy(self.state.randint(0, len(palette), self.num_faces))
        return (torch.tensor(palette)[chosen] + self.uniform(-jitter, jitter, 3)).clamp(0, 1)
