"""How much memory training needs, counted from the network; what is not counted is fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from lightning_ecinn.flows import CouplingBlock
from lightning_ecinn.training import IBINN

__all__ = ["SIDES", "Footprint", "MemoryModel", "chain", "deep", "deepest", "footprint"]

_STATES = {"sgd": 1, "adam": 2}

# Per side: blocks for each unit of depth, hidden channels, hidden width of the last block (narrow,
# so that most parameters lie in convolutions).
_FAMILY = {
    64: ([1, 6, 6], [64, 256, 512], 128),
    128: ([1, 1, 6, 6], [32, 64, 256, 512], 32),
    256: ([1, 1, 1, 6, 6], [16, 32, 64, 256, 512], 8),
}
SIDES = tuple(_FAMILY)


def chain(blocks: int) -> dict[str, Any]:
    """Coupling blocks alone, 16 channels at 7x7, as in the second stage of the MNIST network."""
    return {
        **{"image_shape": (16, 7, 7), "num_classes": 10, "haar": False, "fc_blocks": 0},
        **{"blocks": [blocks], "widths": [64], "dropouts": [0.25]},
    }


def deep(side: int, depth: int) -> dict[str, Any]:
    """Wide networks for colour pictures, trained with Adam; depth 10 at side 64 has 193 million."""
    blocks, widths, fc_width = _FAMILY[side]
    return {
        **{"image_shape": (3, side, side), "num_classes": 2, "optimizer": "adam"},
        **{"blocks": [depth * count for count in blocks], "widths": widths},
        **{"dropouts": [0.0] * len(blocks), "fc_width": fc_width},
    }


@dataclass
class Footprint:
    """What training holds, in numbers of four bytes.

    Attributes:
        parameters: all trained values.
        fixed: matrices that are not trained, inverses and double precision included.
        states: numbers that the optimiser keeps for each parameter.
        hidden: outputs of the convolutions of all blocks, per image.
        inputs: inputs of all blocks, per image.
        largest: the block with the most of both, per image.
    """

    parameters: int
    fixed: int
    states: int
    hidden: int
    inputs: int
    largest: int

    @property
    def constant(self) -> int:
        """Bytes whatever the batch: weights, their gradients, the optimiser's states, matrices."""
        return 4 * (self.parameters * (2 + self.states) + self.fixed)

    def growing(self, reversible: bool) -> tuple[int, int]:
        """Bytes per image: what is computed within blocks, and what lies between them."""
        return 4 * (self.largest if reversible else self.hidden), 4 * self.inputs


@torch.no_grad()
def footprint(settings: Mapping[str, Any]) -> Footprint:
    """Count, on the network with one block in each stage: blocks of a stage are all alike."""
    single = IBINN(**{**settings, "blocks": [1] * len(settings["blocks"])})
    classifier = single.classifier.eval()
    counts = iter(settings["blocks"])
    parts: list[tuple[int, int, int, list[int], int]] = []
    for block in classifier.flow.module_list:
        times = next(counts) if isinstance(block, CouplingBlock) else 1
        outputs: list[int] = []
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda _, __, y, to=outputs: to.append(y.numel()))
        trained = sum(p.numel() for p in block.parameters())
        # Kept four times over: the matrix and its inverse, both also in double precision.
        fixed = 6 * block.rotation.matrix.numel() if isinstance(block, CouplingBlock) else 0
        parts.append((times, trained, fixed, outputs, math.prod(block.dims_in[0])))
    classifier.encode(torch.zeros(1, *classifier.image_shape))
    mixture = sum(p.numel() for p in classifier.mixture.parameters())
    return Footprint(
        parameters=mixture + sum(times * trained for times, trained, *_ in parts),
        fixed=mixture + sum(times * fixed for times, _, fixed, *_ in parts),
        states=_STATES[settings.get("optimizer", "sgd")],
        hidden=sum(times * sum(outputs) for times, *_, outputs, _ in parts),
        inputs=sum(times * inputs for times, *_, inputs in parts),
        largest=max(sum(outputs) + inputs for *_, outputs, inputs in parts),
    )


@dataclass
class MemoryModel:
    """Bytes of training: what is always held + batch (inner x blocks + between x inputs) + rest.

    Attributes:
        reversible: whether only the largest block counts, or the sum of all.
        inner: how often the outputs of convolutions are held: their normalised values, gradients.
        between: the same of the blocks' inputs.
        rest: bytes that depend on none of these.
    """

    reversible: bool
    inner: float
    between: float
    rest: float

    @classmethod
    def fit(
        cls, found: Sequence[Footprint], batches: Sequence[int], peaks: Sequence[float], kind: bool
    ) -> MemoryModel:
        """Least squares on peaks in bytes; `kind` says whether they were reversible."""
        rows = [[b * n for n in f.growing(kind)] + [1] for f, b in zip(found, batches, strict=True)]
        target = [peak - f.constant for peak, f in zip(peaks, found, strict=True)]
        return cls(kind, *np.linalg.lstsq(np.array(rows, float), np.array(target), rcond=None)[0])

    def predicted(self, found: Footprint, batch: int) -> float:
        """Bytes of training with this batch size."""
        blocks, inputs = found.growing(self.reversible)
        return found.constant + batch * (self.inner * blocks + self.between * inputs) + self.rest

    def __str__(self) -> str:
        blocks = "the largest block's" if self.reversible else "all blocks'"
        return (
            f"{'reversible' if self.reversible else 'ordinary'}: weights, gradients, the "
            f"optimiser's states, fixed matrices + {self.inner:.2f} x {blocks} convolutions + "
            f"{self.between:.2f} x the inputs of all blocks + {self.rest / 1e6:.0f} MB"
        )


def deepest(side: int, batch: int, limit: float, model: MemoryModel) -> int:
    """The largest depth of :func:`deep` within a limit in bytes, 0 if there is none.

    Bytes grow linearly with depth, so two networks tell.
    """
    one, two = (model.predicted(footprint(deep(side, depth)), batch) for depth in (1, 2))
    return max(0, 1 + math.floor((limit - one) / (two - one)))
