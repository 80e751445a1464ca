"""Drawing of faces as smooth shapes: every pixel a formula, whole batches at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_ecinn.datamodules.faces_parameters import ATTRIBUTES, FaceParameters

__all__ = ["draw_faces"]

_BLUSH = (0.90, 0.30, 0.36)
_WHITE = (0.95, 0.95, 0.94)
_DARK = (0.10, 0.07, 0.07)

_Length = Tensor | float
"""One for all faces, or one for each: (N,)."""


def draw_faces(faces: FaceParameters, side: int) -> Tensor:
    """Draw faces (N, 3, side, side), uint8."""
    easel = _Easel(faces, side)
    easel.background()
    easel.body()
    easel.head()
    easel.cheeks()
    easel.eyes()
    easel.nose()
    easel.mouth()
    easel.fringe()
    return easel.finished()


class _Easel:
    """Pictures in the making; layers are painted over each other with soft edges."""

    def __init__(self, faces: FaceParameters, side: int) -> None:
        self.faces = faces
        self.pixel = 2 / side
        line = (torch.arange(side) + 0.5) * self.pixel - 1
        self.page_y, self.page_x = (
            axis.unsqueeze(0) for axis in torch.meshgrid(line, line, indexing="ij")
        )
        x = self.page_x - _column(faces.shift[:, 0])
        y = self.page_y - _column(faces.shift[:, 1])
        cos, sin = _column(faces.tilt.cos()), _column(faces.tilt.sin())
        size = _column(faces.size)
        self.x, self.y = (cos * x + sin * y) / size, (cos * y - sin * x) / size
        # What sticks out moves furthest when the head turns.
        self.middle_x = self.x - 0.06 * _column(faces.turn)
        self.image = torch.zeros(len(faces), 3, side, side)
        self.smiling, self.cheekbones, self.lipstick, self.makeup = (
            faces.attributes[:, k].float() for k in range(len(ATTRIBUTES))
        )

    def paint(self, colour: Tensor | tuple[float, ...], coverage: Tensor) -> None:
        """Lay a colour, (3,), (N, 3) or (N, 3, H, W), over the share `coverage` (N, H, W)."""
        colour = torch.as_tensor(colour)
        if colour.ndim < 4:
            colour = colour.view(-1, 3, 1, 1)
        coverage = coverage.clamp(0, 1).unsqueeze(1)
        self.image = self.image + coverage * (colour - self.image)

    def shade(self, factor: Tensor) -> None:
        """Multiply the brightness by (N, H, W)."""
        self.image = self.image * factor.unsqueeze(1)

    def inside(self, distance: Tensor) -> Tensor:
        """Coverage of a shape by its signed distance: an edge one pixel wide."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def ellipse(
        self, x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float
    ) -> Tensor:
        """Coverage of an ellipse with these half axes."""
        width, height = _column(width), _column(height)
        radius = ((x / width) ** 2 + (y / height) ** 2).sqrt()
        return self.inside((radius - 1) * torch.minimum(width, height))

    def background(self) -> None:
        """From one colour at the top to another at the bottom."""
        faces = self.faces
        share = ((self.page_y + 1) / 2).unsqueeze(1)
        top, bottom = (c.view(-1, 3, 1, 1) for c in (faces.top, faces.bottom))
        self.paint(top + share * (bottom - top), torch.ones_like(self.x))

    def body(self) -> None:
        """Hair behind the head, neck, shoulders."""
        faces = self.faces
        outer = self.ellipse(self.x, self.y + 0.16, faces.width + 0.13, 0.72)
        beside = self.inside(self.x.abs() - _column(faces.width + 0.13)) * self.inside(
            -0.16 - self.y
        )
        above_end = self.inside(self.y - _column(faces.hair_length))
        self.paint(0.85 * faces.hair, torch.maximum(outer, beside) * above_end)
        neck = self.inside(self.x.abs() - 0.24) * self.inside(0.2 - self.y)
        self.paint(0.78 * faces.skin, neck)
        self.paint(faces.clothes, self.ellipse(self.x, self.y - 1.35, 0.95, 0.48))

    def head(self) -> None:
        """Skin, a little darker towards the edge."""
        faces = self.faces
        narrow = 1 - _column(faces.jaw) * ((self.y + 0.05).clamp(min=0) / 0.72) ** 2
        self.head_x = self.x / narrow
        self.face = self.ellipse(self.head_x, self.y, faces.width, 0.70)
        edge = (self.head_x / _column(faces.width)) ** 2 + (self.y / 0.70) ** 2
        shading = (1.02 - 0.16 * edge.clamp(0, 1) ** 2).unsqueeze(1)
        self.paint(faces.skin.view(-1, 3, 1, 1) * shading, self.face)

    def cheeks(self) -> None:
        """Cheekbones: light above, hollow below. Make-up: blush."""
        strength = _column(self.cheekbones) * self.face
        for side in (-1, 1):
            x = self.middle_x - 0.33 * side
            light = _bump(x + 0.01 * side, self.y - 0.10, 0.11, 0.055, 0.35 * side)
            hollow = _bump(x + 0.02 * side, self.y - 0.26, 0.13, 0.05, 0.6 * side)
            self.shade(1 + strength * (0.20 * light - 0.28 * hollow))
            blush = _bump(x, self.y - 0.17, 0.10, 0.08)
            self.paint(_BLUSH, 0.45 * _column(self.makeup) * self.face * blush)

    def eyes(self) -> None:
        """Eyes and eyebrows. Make-up: coloured lids, heavier lashes."""
        faces = self.faces
        makeup = self.makeup
        half, height = faces.eye_size, 0.55 * faces.eye_size
        for side in (-1, 1):
            x = self.middle_x - side * _column(faces.eye_distance)
            y = self.y + 0.08
            upper = self.inside(y - 0.01)
            lid = self.ellipse(x, y + 0.035, 1.35 * half, 1.7 * height)
            self.paint(faces.shadow, 0.75 * _column(makeup) * lid * upper)
            lashes = self.ellipse(
                x, y + 0.012, 1.08 * half + 0.03 * makeup, 1.1 * height + 0.012 * makeup
            )
            self.paint(_DARK, (0.55 + 0.45 * _column(makeup)) * lashes * upper)
            white = self.ellipse(x, y, half, height)
            self.paint(_WHITE, white)
            gaze = x - 0.01 * _column(faces.turn)
            self.paint(faces.iris, white * self.ellipse(gaze, y, 0.052, 0.052))
            self.paint(_DARK, white * self.ellipse(gaze, y, 0.024, 0.024))
            arch = y + 0.13 + 2 * (x - 0.03 * side) ** 2
            brow = self.inside(arch.abs() - _column(faces.brow))
            ends = self.inside(x.abs() - 1.25 * _column(half))
            self.paint(0.6 * faces.hair, 0.9 * brow * ends)

    def nose(self) -> None:
        """Light on its ridge, shadow beside and below it."""
        faces = self.faces
        x = self.middle_x - 0.03 * _column(faces.turn)
        ridge = _bump(x - 0.05, self.y - 0.06, 0.025, 0.13)
        under = _bump(x, self.y - 0.235, _column(faces.nose), 0.022)
        glow = _bump(x + 0.01, self.y - 0.12, 0.03, 0.12)
        self.shade(1 + self.face * (0.08 * glow - 0.14 * ridge - 0.35 * under))

    def mouth(self) -> None:
        """Two lips around a parabola. Smile: raised corners, teeth. Lipstick: its colour."""
        faces = self.faces
        raised = self.smiling * faces.smile + (1 - self.smiling) * faces.frown
        gap = self.smiling * faces.teeth
        width = faces.mouth_width * (1 + 0.12 * self.smiling)
        u = (self.middle_x / _column(width)).clamp(-1.2, 1.2)
        centre = 0.40 + _column(raised) * (0.35 - u**2)
        profile = (1 - u**2).clamp(min=0).sqrt()
        lips, open_ = _column(faces.lips), _column(gap) * profile
        y = self.y - centre
        distance = (y.abs() - (lips * profile + open_)).clamp(min=-0.1)
        within = self.inside(self.middle_x.abs() - _column(width))
        skin = faces.skin * torch.tensor((0.86, 0.66, 0.64))
        colour = torch.where(self.lipstick.bool().unsqueeze(1), faces.lipstick, skin)
        self.paint(colour, self.inside(distance) * within)
        self.paint(_WHITE, self.inside(y.abs() - open_ + 0.25 * self.pixel) * within * (open_ > 0))
        line = (1 - (y.abs() / 0.014)).clamp(0, 1) * within * profile
        self.paint(0.35 * colour, 0.8 * line * (1 - (open_ / 0.02).clamp(0, 1)))

    def fringe(self) -> None:
        """Hair before the forehead."""
        faces = self.faces
        line = _column(faces.hairline) + 0.7 * (self.x - _column(faces.parting)) ** 2
        crown = self.ellipse(self.x, self.y + 0.16, faces.width + 0.10, 0.68)
        self.paint(faces.hair, crown * self.inside(self.y - line))

    def finished(self) -> Tensor:
        """Lit, as 8-bit pictures."""
        light = self.faces.light
        self.shade(1 + _column(light[:, 0]) * self.page_x + _column(light[:, 1]) * self.page_y)
        return (255 * self.image).round().clamp(0, 255).to(torch.uint8)


def _column(values: _Length) -> Tensor:
    """One value per face, to be combined with (N, H, W)."""
    return torch.as_tensor(values).reshape(-1, 1, 1)


def _bump(x: Tensor, y: Tensor, width: _Length, height: float, angle: float = 0) -> Tensor:
    """A soft spot of height 1, turned by an angle in radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    across, along = (cos * x + sin * y) / width, (cos * y - sin * x) / height
    return torch.exp(-(across**2 + along**2))
