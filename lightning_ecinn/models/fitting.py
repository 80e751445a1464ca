"""A model of the settings that a file states, with the file's weights.

A file may state anything: settings are checked before anything is built of them, and what is built
is never much larger than the weights that the file really holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_ecinn.plain_text import plain

__all__ = ["build_small", "check_finite", "check_settings", "check_weights", "load_fitting"]

_REQUIRED = ("image_shape", "num_classes")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_LARGEST = 2.0**63
_RANDOM = (Tensor.uniform_, Tensor.normal_)
_DTYPES = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
_MAKES = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
_ROOM = 2**16
"""Numbers that any model may have beside those of the file."""
_PER_TENSOR = 1000
"""What making a tensor costs, in numbers: there may be many small ones."""

M = TypeVar("M", bound=nn.Module)


def check_settings(settings: Any, types: Mapping[str, Any]) -> None:
    """Check the settings of a model by the types of its arguments.

    Args:
        settings: should be a dict of them.
        types: of the arguments, by name.

    Raises:
        ValueError: a few words on the first that is wrong.
    """
    if not isinstance(settings, dict):
        raise ValueError(f"its settings are a {type(settings).__name__}, not a dict")
    if unknown := [name for name in settings if name not in types]:
        raise ValueError(f"it has a setting {_short(unknown[0])}, which is not known here")
    if missing := [name for name in _REQUIRED if name not in settings]:
        raise ValueError(f"its setting {missing[0]} is missing")
    for name, value in settings.items():
        if not _is(value, types[name]):
            raise ValueError(f"its setting {name} is {_short(value)}, not {_words(types[name])}")


def check_weights(weights: Mapping[Any, Any], num_bytes: int) -> None:
    """Check that these are plain weights, and no larger than the file that they come from.

    Args:
        weights: should be tensors by their names.
        num_bytes: size of the file.

    Raises:
        ValueError: a few words on the first that is wrong.
    """
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(f"its weight {_short(name)} is a {type(value).__name__}, no tensor")
        if not _is_plain(value):
            raise ValueError(f"its weight {_short(name)} is no plain tensor of numbers")
    # One small part of a file may stand for many large weights.
    if sum(value.numel() * value.element_size() for value in weights.values()) > 2 * num_bytes:
        raise ValueError("its weights claim to be larger than the file")


def check_finite(source: str, weights: Mapping[str, Tensor]) -> None:
    """Raise a ValueError that names the first weight with a NaN or an infinity, in float32.

    Args:
        source: begins the sentence.
        weights: by the names that the file has for them.
    """
    for name, value in weights.items():
        if not value.is_floating_point():
            continue
        value = value.detach().float()
        # In float64 no sum overflows; this is five times faster than asking of every number.
        if not value.sum(dtype=torch.float64).isfinite():
            wrong = value.numel() - int(value.isfinite().sum())
            raise ValueError(
                f"{source} holds NaN or infinity in its weight {_short(name)} ({wrong:,} of "
                f"{value.numel():,} numbers): its training diverged, or it is damaged; give "
                "another one."
            )


def build_small(make: Callable[[], M], weights: Iterable[Tensor]) -> M:
    """Build a model without its random weights, if it is not much larger than those of a file.

    No random number is taken from torch's generator.

    Args:
        make: builds it.
        weights: what is to be loaded into it.

    Raises:
        ValueError: a few words on why it is not built.
    """
    try:
        with torch.random.fork_rng(devices=[]), _Small(weights):
            return make()
    except (TypeError, RuntimeError, OverflowError, ArithmeticError, LookupError):
        raise ValueError("no network has such settings") from None  # their words are of tensors


def load_fitting(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights into a model that expects exactly them.

    Raises:
        ValueError: a few words on the first that does not fit.
    """
    for name, expected in model.state_dict().items():
        given = weights.get(name, expected)
        if given.shape != expected.shape:
            raise ValueError(
                f"its weight {name} has shape {tuple(given.shape)}, expected "
                f"{tuple(expected.shape)}"
            )
        if given.is_floating_point() != expected.is_floating_point():
            raise ValueError(f"its weight {name} is of {given.dtype}, expected {expected.dtype}")
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError:  # of linear algebra
        raise ValueError("one of its fixed matrices has no inverse") from None
    if missing or unexpected:
        what = f"has no weight {missing[0]}" if missing else f"has a weight {_short(unexpected[0])}"
        raise ValueError(f"it {what}{'' if missing else ', which is not known here'}")


class _Small(TorchFunctionMode):
    """Refuses tensors when there are more than weights to fill them; zeros for random numbers."""

    def __init__(self, weights: Iterable[Tensor]):
        super().__init__()
        self.left = _ROOM + 2 * sum(value.numel() + _PER_TENSOR for value in weights)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM or getattr(func, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            tensor.detach().zero_()  # not left as it is: some draw until they like the numbers
            return tensor
        if func in _MAKES:
            self.left -= _PER_TENSOR + _numel(args, kwargs)
            if self.left < 0:
                raise ValueError("its settings ask for a larger network than it holds weights for")
        return func(*args, **kwargs)


def _is_plain(value: Tensor) -> bool:
    return value.dtype in _DTYPES and value.layout == torch.strided and value.device.type == "cpu"


def _numel(args: tuple, kwargs: Mapping[str, Any]) -> int:
    """How many numbers torch.empty and its like are asked for."""
    size = args or (kwargs["size"],)
    return math.prod(size[0] if isinstance(size[0], Sequence) else size)


def _is(value: Any, kind: Any) -> bool:
    """Whether a plain value is of an argument's type."""
    if kind in (int, float):
        of_kind = type(value) is int or type(value) is kind
        return of_kind and -_LARGEST < value < _LARGEST  # NaN neither
    if kind in (bool, str, NoneType):
        return type(value) is kind
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return value in inner
    if get_origin(kind) in (list, Sequence):
        return isinstance(value, list | tuple) and all(_is(one, inner[0]) for one in value)
    return any(_is(value, one) for one in inner)


def _words(kind: Any) -> str:
    inner = [one for one in get_args(kind) if one is not NoneType]
    if get_origin(kind) in (list, Sequence):
        return f"a list, each {_words(inner[0])}"
    return _WORDS.get(kind) or " or ".join(_WORDS.get(one) or _words(one) for one in inner)


def _short(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of lists of ...
        text = f"some {type(value).__name__}"
    return plain(text if len(text) <= 80 else f"{text[:80]}...")
