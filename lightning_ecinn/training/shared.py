"""What all LightningModules of this project share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch

__all__ = [
    "Stage",
    "adamw",
    "check_description",
    "check_precision",
    "check_same_images",
    "one_cycle",
    "seed_step",
]

Stage = Literal["train", "val", "test"]
_STREAMS = {"train": 0, "val": 1, "test": 2}


def check_description(image_shape: Sequence[int] | None, num_classes: int | None) -> None:
    """Refuse data that don't say what they are, of which the command line passes on nothing."""
    if image_shape is None or num_classes is None:
        raise ValueError(
            "The data module must say what its images are: give it the attributes image_shape, "
            "(C, H, W), and num_classes."
        )


def check_precision(trainer: pl.Trainer) -> None:
    """Refuse precisions in which no flow can be inverted."""
    if trainer.precision in ("16-true", "bf16-true"):
        raise ValueError(
            f"An invertible network can't be computed in {trainer.precision}: give precision: "
            'bf16-mixed, "32-true" or "64-true".'
        )


def check_same_images(checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse a checkpoint's model, by its ``config``, whose images or classes are not ours."""
    for key in ("image_shape", "num_classes", "class_names"):
        theirs, ours = checkpoint.get(key), config[key]
        if theirs != ours:
            raise ValueError(
                f"The network in the checkpoint has {key} {theirs}, but the data's is {ours}: give "
                "the configuration of the data it was trained on."
            )


def seed_step(module: pl.LightningModule, stage: Stage, step: int) -> None:
    """Seed torch by run, stage, step and process: a resumed run then repeats the original."""
    run_seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
    key = [run_seed, _STREAMS[stage], step, module.global_rank]
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))


def adamw(module: pl.LightningModule) -> Any:
    """Lightning's configuration of AdamW, which is Adam where there is no weight decay.

    Args:
        module: with the hyperparameters ``lr``, ``weight_decay`` and ``schedule``, "constant" or
            "onecycle"; all of its parameters are trained.
    """
    h: Any = module.hparams
    optimizer = torch.optim.AdamW(module.parameters(), lr=h.lr, weight_decay=h.weight_decay)
    return one_cycle(module, optimizer, warmup=0.2) if h.schedule == "onecycle" else optimizer


def one_cycle(
    module: pl.LightningModule, optimizer: torch.optim.Optimizer, warmup: float
) -> dict[str, Any]:
    """Lightning's configuration of an optimizer that warms up and anneals to zero, step by step.

    Args:
        module: attached to the trainer, which knows how many steps there are.
        optimizer: its learning rates are the highest.
        warmup: share of the steps spent warming up.
    """
    num_steps = max(int(module.trainer.estimated_stepping_batches), 2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=num_steps,
        # A warm-up of exactly one step makes the scheduler divide by zero.
        pct_start=warmup + 1e-6 if warmup * num_steps == 1 else warmup,
        cycle_momentum=False,
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
