"""What can be set of a flow, once: `ib_inn`, the classifier and the command line take it here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["FlowSettings", "part"]


@dataclass(frozen=True, kw_only=True)
class FlowSettings:
    """The invertible network of IB-INN (Ardizzone et al. 2020).

    The defaults are the ECINN paper's network for 1x28x28. Its network for 3x64x64 is
    ``blocks=[8, 24, 24], widths=[16, 32, 64], dropouts=[0, 0, 0.25], init_scale=0.75``.

    Args:
        blocks: coupling blocks in each stage; between stages a downsampling block.
        widths: hidden channels of the subnets in each stage.
        dropouts: dropout of the subnets in each stage.
        fc_blocks: fully connected coupling blocks at the end.
        fc_width: their hidden width.
        fc_dropout: their dropout.
        clamp: bound of the log scale in every convolutional coupling.
        init_scale: scale of every coupling block before training.
        haar: begin with a Haar transform; by default only for pictures of one channel.
        haar_gain: factor of its detail coefficients, 1 in the paper; a larger one lets smooth
            pictures be learned faster.
        dct: end with DCT pooling, as in the paper; else feature maps are only flattened, so that
            each latent stays at its place in the picture and `class_means.significance` can tell
            which matter.
        zero_init: begin with couplings that change nothing, the last layer of every subnet zero
            (Glow, Kingma and Dhariwal 2018), not with IB-INN's random ones: less of the picture
            depends on what it should not.

    Raises:
        ValueError: if the lists' lengths do not fit.

    Example:
        >>> FlowSettings(blocks=(8, 8), fc_blocks=0).widths
        [32, 64]
    """

    blocks: list[int] = field(default_factory=lambda: [24, 24])
    widths: list[int] = field(default_factory=lambda: [32, 64])
    dropouts: list[float] = field(default_factory=lambda: [0.0, 0.25])
    fc_blocks: int = 1
    fc_width: int = 1024
    fc_dropout: float = 0.5
    clamp: float = 0.7
    init_scale: float = 0.8
    haar: bool | None = None
    haar_gain: float = 1.0
    dct: bool = True
    zero_init: bool = False

    def __post_init__(self) -> None:
        per_stage = ("blocks", "widths", "dropouts")
        for name in per_stage:
            object.__setattr__(self, name, list(getattr(self, name)))
        lengths = [len(getattr(self, name)) for name in per_stage]
        if len(set(lengths)) != 1 or 0 in lengths:
            raise ValueError(
                "blocks, widths and dropouts need one entry per stage each, got "
                f"{', '.join(map(str, lengths))} entries: give lists of the same length."
            )


def part(settings: Any, kind: type) -> dict[str, Any]:
    """What `settings` say of the fields of the dataclass `kind`, by name.

    Example:
        >>> part(FlowSettings(fc_width=16), FlowSettings)["fc_width"]
        16
    """
    return {field.name: getattr(settings, field.name) for field in fields(kind)}
