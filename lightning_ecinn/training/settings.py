"""All that an `IBINN` hands on, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal  # noqa: F401 (the parser looks here for the names of inherited types)

from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.models.classifier import ClassifierSettings
from lightning_ecinn.training.optimisers import OptimiserSettings
from lightning_ecinn.training.plain import make_plain
from lightning_ecinn.training.realism_settings import RealismSettings

__all__ = ["FOR_TRAINING", "IBINNSettings"]

FOR_TRAINING = (
    "beta",
    "label_smoothing",
    "noise",
    *(field.name for kind in (OptimiserSettings, RealismSettings) for field in fields(kind)),
)
"""Settings of `IBINN` that nothing but its training uses."""


@dataclass(frozen=True, kw_only=True)
class IBINNSettings(PathSettings, RealismSettings, OptimiserSettings, ClassifierSettings):
    """What `IBINN` hands on: to classifier, optimiser, critic and explainer."""

    def __post_init__(self) -> None:
        make_plain(self)
        for kind in (PathSettings, RealismSettings, OptimiserSettings, ClassifierSettings):
            kind.__post_init__(self)  # type: ignore[arg-type]
        if self.realism and self.optimizer == "sgd":
            raise ValueError(
                "realism trains a critic, which SGD hardly does: set optimizer to adam or adamw."
            )
