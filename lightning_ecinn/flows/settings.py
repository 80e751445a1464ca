"""What can be set of a flow, once: `ib_inn`, the classifier and the command line take it here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any

__all__ = ["FlowSettings", "check_names", "is_number", "is_whole", "part"]

_PER_STAGE = ("blocks", "widths", "dropouts")


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
        ValueError: if the lists' lengths do not fit, or a number is none that there can be.

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
        for name in _PER_STAGE:
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise ValueError(f"{name} must be a list, a number for each stage, got {value!r}.")
            object.__setattr__(self, name, list(value))
        lengths = [len(getattr(self, name)) for name in _PER_STAGE]
        if len(set(lengths)) != 1 or 0 in lengths:
            raise ValueError(
                "blocks, widths and dropouts need one entry per stage each, got "
                f"{', '.join(map(str, lengths))} entries: give lists of the same length."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name, least in {"blocks": 0, "widths": 1, "fc_blocks": 0, "fc_width": 1}.items():
            for value in self._each(name):
                if not is_whole(value) or value < least:
                    raise ValueError(f"{name} must be whole numbers from {least}, got {value!r}.")
        for name in ("dropouts", "fc_dropout"):
            for value in self._each(name):
                if not is_number(value) or not 0 <= value < 1:
                    raise ValueError(f"{name} must be from 0 to below 1, got {value!r}.")
        for name in ("clamp", "init_scale", "haar_gain"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value!r}.")
        for name in ("haar", "dct", "zero_init"):
            value = getattr(self, name)
            if not isinstance(value, bool) and not (name == "haar" and value is None):
                raise ValueError(f"{name} must be true or false, got {value!r}.")

    def _each(self, name: str) -> list[Any]:
        value = getattr(self, name)
        return value if name in _PER_STAGE else [value]


def is_number(value: object) -> bool:
    """Whether it is a real number, of Python or NumPy."""
    return isinstance(value, Real)


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or NumPy."""
    return isinstance(value, Integral)


def check_names(kind: type, owner: str, given: Iterable[str]) -> None:
    """Refuse settings that `owner` was given by name and the dataclass `kind` does not have.

    Raises:
        TypeError: as Python would, but says which there are.

    Example:
        >>> check_names(FlowSettings, "ib_inn", {"width": [8]})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        TypeError: ib_inn got an unexpected keyword argument 'width': give some of blocks, ...
    """
    known = [field.name for field in fields(kind)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(
            f"{owner} got an unexpected keyword argument {unknown[0]!r}: give some of "
            f"{', '.join(known)}."
        )


def part(settings: Any, kind: type) -> dict[str, Any]:
    """What `settings` say of the fields of the dataclass `kind`, by name.

    Example:
        >>> part(FlowSettings(fc_width=16), FlowSettings)["fc_width"]
        16
    """
    return {field.name: getattr(settings, field.name) for field in fields(kind)}
