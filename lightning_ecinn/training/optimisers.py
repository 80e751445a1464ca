"""Optimisers and schedules: their settings, each once, and what Lightning makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import nn

from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.training.checks import (
    check_literals,
    check_not_negative,
    check_positive,
    check_share,
)
from lightning_ecinn.training.one_cycle import OneCycle
from lightning_ecinn.training.plain import make_plain
from lightning_ecinn.training.steps import count_steps_left

__all__ = ["AdamWSettings", "OptimiserSettings", "adamw", "configure_ib_inn"]


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """How an IB-INN is trained; the defaults are the ECINN paper's settings for MNIST.

    Args:
        optimizer: "sgd", "adam" or "adamw".
        lr: learning rate (the highest one, with the one-cycle schedule).
        momentum: SGD's momentum.
        betas: Adam's betas.
        weight_decay: of the network's weights.
        means_lr_factor: the component means learn this many times faster.
        means_momentum: SGD's momentum for the component means.
        mixture_momentum: SGD's momentum for the mixture weights.
        schedule: "multistep" multiplies the learning rate by gamma at each milestone;
            "onecycle" warms up and anneals to zero over the whole training, step by step.
        milestones: epochs, for "multistep".
        gamma: factor, for "multistep".
        warmup: share of the training spent warming up, for "onecycle".

    Raises:
        ValueError: for what can't be trained with.
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.07
    momentum: float = 0.9
    betas: tuple[float, float] = (0.95, 0.99)
    weight_decay: float = 1e-4
    means_lr_factor: float = 3.0
    means_momentum: float = 0.0
    mixture_momentum: float = 0.8
    schedule: Literal["multistep", "onecycle"] = "multistep"
    milestones: list[int] = field(default_factory=lambda: [50])
    gamma: float = 0.1
    warmup: float = 0.2

    def __post_init__(self) -> None:
        make_plain(self)
        check_literals(self, OptimiserSettings)
        check_positive(lr=self.lr)
        momenta = ("momentum", "means_momentum", "mixture_momentum")
        names = (*momenta, "weight_decay", "means_lr_factor", "gamma")
        check_not_negative(**{name: getattr(self, name) for name in names})
        check_share(warmup=self.warmup)
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise ValueError(f"betas is {self.betas!r}; give two numbers.")
        for beta in self.betas:
            check_share(betas=beta)
        if not isinstance(self.milestones, tuple | list):
            raise ValueError(f"milestones is {self.milestones!r}; give a list of epochs.")
        for epoch in self.milestones:
            check_not_negative(milestones=epoch)


@dataclass(frozen=True, kw_only=True)
class AdamWSettings:
    """AdamW, which is Adam where there is no weight decay.

    Args:
        lr: Adam's learning rate (the highest one, with the one-cycle schedule).
        weight_decay: AdamW's decoupled weight decay.
        schedule: "constant", or "onecycle": warm up for a fifth of the training, then anneal to
            zero, step by step.

    Raises:
        ValueError: for what can't be trained with.
    """

    lr: float = 0.001
    weight_decay: float = 0.0
    schedule: Literal["constant", "onecycle"] = "constant"

    def __post_init__(self) -> None:
        make_plain(self)
        check_literals(self, AdamWSettings)
        check_positive(lr=self.lr)
        check_not_negative(weight_decay=self.weight_decay)


def configure_ib_inn(
    module: pl.LightningModule,
    classifier: GenerativeClassifier,
    settings: Any,
    beside: nn.Module | None = None,
) -> dict[str, Any]:
    """Lightning's configuration of optimiser and schedule, for a module that trains a classifier.

    Three parameter groups: network, component means, mixture weights; a fourth of a critic's.

    Args:
        module: attached to the trainer.
        classifier: what is trained.
        settings: has the fields of :class:`OptimiserSettings`, as the module's ``hparams`` do.
        beside: a module with a critic, trained in a group of its own, and a witness or None,
            trained as the network is.
    """
    fused = module.device.type in ("cpu", "cuda")
    optimizer = _grouped(classifier, settings, beside, fused=fused)
    if settings.schedule == "onecycle":
        return _one_cycle(module, optimizer, settings.warmup)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, milestones=settings.milestones, gamma=settings.gamma
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler}}


def adamw(module: pl.LightningModule, settings: Any) -> Any:
    """Lightning's configuration of AdamW for all of a module's parameters.

    Args:
        module: what is trained.
        settings: has the fields of :class:`AdamWSettings`, as the module's ``hparams`` do.
    """
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    optimizer.register_load_state_dict_pre_hook(_check_groups)
    return _one_cycle(module, optimizer, 0.2) if settings.schedule == "onecycle" else optimizer


def _grouped(
    classifier: GenerativeClassifier, settings: Any, beside: Any, *, fused: bool
) -> torch.optim.Optimizer:
    """The optimiser; fused it is one pass over hundreds of small tensors."""
    mixture = classifier.mixture
    network = [p for p in classifier.flow.parameters() if p.requires_grad]
    if beside is not None and beside.witness is not None:
        network += beside.witness.parameters()
    groups: list[dict[str, Any]] = [
        {"params": network, "weight_decay": settings.weight_decay},
        {"params": [mixture.component_means], "lr": settings.lr * settings.means_lr_factor},
        {"params": [mixture.mixture_logits]},
    ]
    if beside is not None:
        groups.append({"params": list(beside.critic.parameters()), "lr": settings.critic_lr})
    options = {"lr": settings.lr, "weight_decay": 0.0, "fused": fused}
    if settings.optimizer == "sgd":
        groups[1]["momentum"] = settings.means_momentum
        groups[2]["momentum"] = settings.mixture_momentum
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            groups, momentum=settings.momentum, **options
        )
    else:
        adam = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
        if beside is not None:  # without momentum: what it judges changes all the time
            groups[3]["betas"] = (0.0, 0.99)
        optimizer = adam(groups, betas=tuple(settings.betas), **options)
    # With 16-bit precision Lightning is to unscale the gradients, before it clips them.
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    optimizer.register_load_state_dict_pre_hook(_check_groups)
    return optimizer


def _check_groups(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Refuse the state of an optimiser of other parameters."""
    ours, theirs = (
        [len(group["params"]) for group in groups]
        for groups in (optimizer.param_groups, state["param_groups"])
    )
    if ours != theirs:
        raise ValueError(
            f"The checkpoint's optimiser has groups of {theirs} parameters, but this network's has "
            f"{ours}: train the same parameters, or start a new training."
        )


def _one_cycle(
    module: pl.LightningModule, optimizer: torch.optim.Optimizer, warmup: float
) -> dict[str, Any]:
    """Warm up and anneal to zero, step by step, over all that the attached trainer will do."""
    scheduler = OneCycle(optimizer, warmup, partial(count_steps_left, module.trainer))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
