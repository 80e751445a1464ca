"""Drawn faces: four attributes, and for each face the exact pixels that each of them changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.datamodules.base import InMemoryDataModule
from lightning_ecinn.datamodules.batches.seeding import FACES, random_state
from lightning_ecinn.datamodules.checks import SplitName, check_at_least, check_between
from lightning_ecinn.datamodules.faces_drawing import draw_faces
from lightning_ecinn.datamodules.faces_parameters import (
    ATTRIBUTES,
    Attribute,
    FaceParameters,
    draw_parameters,
)
from lightning_ecinn.datamodules.factors import Factor
from lightning_ecinn.datamodules.readers.celeba import class_names
from lightning_ecinn.progress import progress_bar

_CHUNK = 64
"""Faces drawn at once: few enough for the processor's caches."""


class DrawnFaces(InMemoryDataModule):
    """Faces made of smooth shapes, 3 x 64 x 64, labelled with one of four attributes.

    They need no files and the truth about them is known, which real faces lack: `changed_pixels`
    says which pixels an attribute changes in each face, and `counterparts` draws the very same
    face with the attribute switched. Smile (the mouth's form), cheekbones (shading of the cheeks),
    lipstick (colour of the lips) and make-up (eyes, blush) are on or off with probability 1/2 each,
    independently of everything else: place, size, tilt and turn of the head, its form, skin, hair,
    eyes, background, clothes, light. Lipstick and make-up may be correlated, as in CelebA.

    Args:
        attribute: the label, named as in CelebA.
        num_train: training images, `val_size` of which are held out.
        num_test: test images.
        lipstick_makeup_correlation: from -1 to 1; 0 for independent, 1 for always together.
        pose: how much heads differ in place, size, tilt and turn; 0 for not at all, 1 for up to
            3 % of the picture, 8 %, 7 degrees, and features 3 % off the middle. The default is
            about that of photographs that were aligned by the eyes, as CelebA's.
        resolution: side of the pictures in pixels.
        face_seed: chooses the faces, training and test apart.
        val_size: training images held out for validation, every class in proportion.
        batch_size: training images per batch and process.
        **loader: further fields of `LoaderSettings`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> data = DrawnFaces("Smiling", num_train=8, num_test=4, val_size=2)
        >>> indices = torch.arange(4)
        >>> images, labels, _ = data.dataset("test")[indices]
        >>> images.shape, labels
        (torch.Size([4, 3, 64, 64]), tensor([1, 0, 1, 1]))
        >>> others = data.counterparts("test", indices)  # the same faces with the other mouth
        >>> mouths = data.changed_pixels("test", indices, labels, 1 - labels)
        >>> torch.equal(others.where(mouths, images), others)
        True
    """

    def __init__(
        self,
        attribute: Attribute = "Smiling",
        num_train: int = 12500,
        num_test: int = 2000,
        lipstick_makeup_correlation: float = 0.0,
        pose: float = 0.3,
        resolution: int = 64,
        face_seed: int = 0,
        val_size: int = 500,
        batch_size: int = 64,
        **loader: Any,
    ) -> None:
        if attribute not in ATTRIBUTES:
            raise ValueError(
                f"attribute is {attribute!r}; drawn faces have {', '.join(ATTRIBUTES)}."
            )
        check_at_least(1, num_train=num_train, num_test=num_test)
        check_at_least(16, resolution=resolution)
        check_at_least(0, face_seed=face_seed)
        check_between(-1, 1, lipstick_makeup_correlation=lipstick_makeup_correlation)
        check_between(0, 1, pose=pose)
        shape, names = (3, resolution, resolution), class_names(attribute)
        super().__init__(shape, names, val_size, batch_size=batch_size, **loader)
        self.attribute = attribute
        self.num_train = num_train
        self.num_test = num_test
        self.lipstick_makeup_correlation = lipstick_makeup_correlation
        self.pose = pose
        self.face_seed = face_seed
        self._parameters: dict[bool, FaceParameters] = {}

    def load(self, train: bool) -> tuple[Tensor, Tensor]:
        """Draw the faces: images (N, 3, side, side) uint8 and labels (N,) int64."""
        faces = self._faces(train)
        images = self._drawn(faces, "training faces" if train else "test faces")
        return images, faces.attributes[:, self._column].long()

    def parameters(self, split: SplitName, indices: Tensor) -> FaceParameters:
        """Return what the faces at `indices` (B,) of a split look like, with all attributes."""
        rows = self.dataset(split).rows(indices.cpu())
        return self._faces(train=split != "test")[rows]

    def counterparts(self, split: SplitName, indices: Tensor) -> Tensor:
        """Draw the faces at `indices` (B,) of a split with the attribute switched.

        Returns:
            (B, 3, side, side) uint8: the true counterfactuals.
        """
        faces = self.parameters(split, indices)
        switched = ~faces.attributes[:, self._column]
        return self._drawn(faces.with_attribute(self._column, switched))

    def changed_pixels(
        self, split: SplitName, indices: Tensor, source: Tensor, target: Tensor
    ) -> Tensor:
        """Return the pixels that the attribute changes in each face, bool (B, 1, side, side).

        Args:
            split: the split that the images are from.
            indices: (B,) into the split.
            source: classes (B,), not needed: there are only two.
            target: classes (B,), not needed either.
        """
        images = self.dataset(split)[indices.cpu()].images
        changed = images != self.counterparts(split, indices)
        return changed.any(1, keepdim=True).to(source.device)

    def factors(self, split: SplitName, indices: Tensor) -> dict[str, Factor]:
        """Return the four attributes, the label's first: faces with each of them switched."""
        images, faces = self.dataset(split)[indices.cpu()].images, self.parameters(split, indices)
        found: dict[str, Factor] = {}
        for name in sorted(ATTRIBUTES, key=lambda name: name != self.attribute):
            k = ATTRIBUTES.index(name)
            switched = self._drawn(faces.with_attribute(k, ~faces.attributes[:, k]))
            found[name] = Factor(switched, (images != switched).any(1, keepdim=True))
        return found

    @property
    def _column(self) -> int:
        return ATTRIBUTES.index(self.attribute)

    def _faces(self, train: bool) -> FaceParameters:
        if train not in self._parameters:
            number = self.num_train if train else self.num_test
            state = random_state(self.face_seed, FACES, int(train))
            self._parameters[train] = draw_parameters(
                number, state, self.lipstick_makeup_correlation, self.pose
            )
        return self._parameters[train]

    def _drawn(self, faces: FaceParameters, title: str | None = None) -> Tensor:
        """Draw them in small groups; with a progress bar if it has a title."""
        starts = range(0, len(faces), _CHUNK)
        shown = progress_bar(starts, title, shown=bool(title))
        side = self.image_shape[1]
        return torch.cat([draw_faces(faces[k : k + _CHUNK], side) for k in shown])
