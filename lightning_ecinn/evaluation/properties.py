"""What a picture is like whatever its class, and in which columns of the rows that stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lightning_ecinn.metrics import ink, shape_height, shape_width, slant, stroke_thickness

__all__ = ["PROPERTIES", "Property", "properties_of"]


@dataclass(frozen=True)
class Property:
    """One of them.

    Attributes:
        key: the columns are ``{key}_before`` and ``{key}_after``, of input and counterfactual.
        title: for people.
        measure: pictures (B, 1, H, W) in [0, 1] to (B,).
    """

    key: str
    title: str
    measure: Callable[[Tensor], Tensor]


PROPERTIES = (
    Property("slant", "slant", slant),
    Property("thickness", "stroke thickness", stroke_thickness),
    Property("height", "height", shape_height),
    Property("width", "width", shape_width),
    Property("ink", "ink", ink),
)
"""Those that the paper names (Section 4.2): tilt, font-weight and size."""


def properties_of(pictures: Tensor) -> Mapping[str, Tensor]:
    """All properties of pictures (B, 1, H, W) in [0, 1], each (B,) by its key."""
    return {one.key: one.measure(pictures) for one in PROPERTIES}
