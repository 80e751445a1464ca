"""A convincing step that was fitted after training: beside the configured one, in checkpoints.

Checkpoints hold it among their ``hyper_parameters``, so that whoever reads these uses it; their
entry ``fitted_step`` says which step was configured, so that the same configuration, given again to
`test` or `predict`, means the fitted one, and another one means itself.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.ecinn.settings import PathSettings

__all__ = ["configured_step", "store_fitted_step", "take_fitted_step", "use_step"]

ENTRY = "fitted_step"
Step = tuple[float, float]


def configured_step(module: pl.LightningModule) -> Step:
    """The convincing step that the module was configured with, whatever was fitted since."""
    step = vars(module).get("_configured_step") or module.hparams["convincing_step"]
    return PathSettings(convincing_step=step).convincing_step


def use_step(module: pl.LightningModule, step: Step | None) -> None:
    """Use a fitted convincing step; None for the configured one again."""
    if "convincing_step" not in module.hparams:
        return
    configured = configured_step(module)
    vars(module)["_configured_step"] = configured
    module.hparams["convincing_step"] = configured if step is None else tuple(step)


def store_fitted_step(module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
    """Put the step that the module uses into a checkpoint, and which one was configured."""
    if "convincing_step" not in module.hparams:
        return
    step, configured = module.hparams["convincing_step"], configured_step(module)
    checkpoint.get("hyper_parameters", {})["convincing_step"] = step
    checkpoint.pop(ENTRY, None)
    if tuple(step) != configured:
        checkpoint[ENTRY] = {"configured": list(configured), "fitted": list(step)}


def take_fitted_step(
    module: pl.LightningModule, checkpoint: dict[str, Any], *, is_configured: bool
) -> None:
    """Use the step that was fitted to a checkpoint's weights, unless another one was asked for.

    Args:
        module: into which the checkpoint is loaded.
        checkpoint: its content.
        is_configured: whether the module's settings are a configuration's, not the checkpoint's.

    Raises:
        ValueError: the checkpoint's entry holds no steps.
    """
    if "convincing_step" not in module.hparams:
        return
    ours, entry = configured_step(module), checkpoint.get(ENTRY)
    if entry is None:
        use_step(module, None)
        return
    theirs, fitted = _steps(entry)
    if is_configured and ours == theirs:
        use_step(module, fitted)
        rank_zero_info(
            f"convincing_step is {list(fitted)} as fitted in the checkpoint, not {list(theirs)}: "
            "a configuration of any other step is taken as it is."
        )
    elif not is_configured and ours == fitted:
        vars(module)["_configured_step"] = theirs


def _steps(entry: Any) -> tuple[Step, Step]:
    """Which step was configured, and which one was fitted."""
    if not isinstance(entry, dict) or not {"configured", "fitted"} <= entry.keys():
        raise ValueError(
            f"The checkpoint's entry {ENTRY} must name a configured and a fitted step, got "
            f"{type(entry).__name__}: give a checkpoint that `fit` wrote."
        )
    configured, fitted = (
        PathSettings(convincing_step=entry[key]).convincing_step for key in ("configured", "fitted")
    )
    return configured, fitted
