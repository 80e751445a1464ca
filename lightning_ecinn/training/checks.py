"""Settings that can't be trained with, refused when something is constructed from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.flows.settings import is_number, is_whole

__all__ = [
    "check_asked",
    "check_beta",
    "check_choice",
    "check_description",
    "check_known",
    "check_literals",
    "check_not_negative",
    "check_positive",
    "check_share",
]


def check_description(image_shape: Sequence[int] | None, num_classes: int | None) -> None:
    """Refuse data that don't say what they are, of which the command line passes on nothing."""
    if image_shape is None or num_classes is None:
        raise ValueError(
            "The data module must say what its images are: give it the attributes image_shape, "
            "(C, H, W), and num_classes."
        )
    sides = list(image_shape) if isinstance(image_shape, Sequence) else []
    if len(sides) != 3 or not all(is_whole(n) and n > 0 for n in sides):
        raise ValueError(f"image_shape is {image_shape}; give (channels, height, width).")
    if not is_whole(num_classes) or num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; give a whole number, 2 or more.")


def check_known(settings: Collection[str], kind: type, owner: str) -> None:
    """Raise a TypeError for names in `settings` that the dataclass `kind` does not have."""
    known = {field.name for field in fields(kind)}
    if unknown := [name for name in settings if name not in known]:
        raise TypeError(
            f"{owner} has no setting {', '.join(unknown)}: help({kind.__name__}) lists what there "
            f"is; the checkpoint of a subclass of {owner} is loaded by that class."
        )


def check_choice(choices: Collection[str], **settings: Any) -> None:
    """Raise a ValueError for the first of `settings` that is none of `choices`."""
    for name, value in settings.items():
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; give {' or '.join(map(repr, choices))}.")


def check_literals(settings: Any, kind: type) -> None:
    """Raise a ValueError for a setting that is none of the words which the dataclass names."""
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is Literal:
            check_choice(get_args(hint), **{name: getattr(settings, name)})


def check_positive(**settings: Any) -> None:
    """Raise a ValueError for the first of `settings` that is no finite number above 0."""
    for name, value in settings.items():
        if not (is_number(value) and 0 < value < math.inf):
            raise ValueError(f"{name} is {value}; give a positive number.")


def check_not_negative(**settings: Any) -> None:
    """Raise a ValueError for the first of `settings` that is no finite number from 0 up."""
    for name, value in settings.items():
        if not (is_number(value) and 0 <= value < math.inf):
            raise ValueError(f"{name} is {value}; give a number that is not negative.")


def check_share(**settings: Any) -> None:
    """Raise a ValueError for the first of `settings` that is not from 0 to less than 1."""
    for name, value in settings.items():
        if not (is_number(value) and 0 <= value < 1):
            raise ValueError(f"{name} is {value}; give a number from 0 to less than 1.")


def check_beta(beta: Any) -> None:
    """Raise a ValueError unless it is a trade-off of the loss, from 0 to infinity."""
    if not (is_number(beta) and beta >= 0):
        raise ValueError(f"beta is {beta}; give a number that is not negative.")


def check_asked(target: Any, alpha: Any, num_classes: int) -> None:
    """Raise a ValueError for a target that is no class, and a step that there is not."""
    is_class = is_whole(target) and 0 <= target < num_classes
    if not is_class and target != "all":
        raise ValueError(
            f'predict_target must be a class from 0 to {num_classes - 1} or "all", got {target}.'
        )
    if not is_number(alpha) or not math.isfinite(alpha):
        check_choice((*get_args(NamedStep), "a number"), predict_alpha=alpha)
