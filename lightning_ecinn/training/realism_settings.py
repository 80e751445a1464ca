"""Settings of what looks at counterfactuals while a network is trained."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_ecinn.flows.settings import is_whole
from lightning_ecinn.training.checks import check_not_negative, check_positive, check_share

__all__ = ["RealismSettings"]


@dataclass(frozen=True, kw_only=True)
class RealismSettings:
    """How counterfactuals are made to look real while training; the defaults, as in the paper, not.

    Args:
        realism: weight in the loss of what a critic, trained beside the network, says of
            counterfactuals at the convincing step; 0 for none.
        realism_from: share of the training after which the critic begins to learn.
        realism_share: share of each batch that counterfactuals are made of.
        recognition: weight in the loss of how little a witness, an ordinary classifier trained
            beside the network on the same images, sees the target in them; with `realism` only.
        closeness: weight in the loss of the counterfactuals' mean distance per pixel, L1, from
            their images; with `realism` only.
        critic_lr: the critic's learning rate (the highest one, with the one-cycle schedule).
        critic_width: its channels at full resolution.

    Raises:
        ValueError: for what can't be trained with.
    """

    realism: float = 0.0
    realism_from: float = 0.5
    realism_share: float = 0.5
    recognition: float = 0.0
    closeness: float = 0.0
    critic_lr: float = 0.001
    critic_width: int = 24

    def __post_init__(self) -> None:
        check_not_negative(
            realism=self.realism, recognition=self.recognition, closeness=self.closeness
        )
        check_share(realism_from=self.realism_from)
        check_positive(critic_lr=self.critic_lr, realism_share=self.realism_share)
        if self.realism_share > 1:
            raise ValueError(f"realism_share is {self.realism_share}; give a number up to 1.")
        if not is_whole(self.critic_width) or self.critic_width < 1:
            raise ValueError(f"critic_width is {self.critic_width!r}; give a whole number from 1.")
        for name in ("recognition", "closeness"):
            if getattr(self, name) and not self.realism:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but without realism no counterfactuals are "
                    "made while training: set realism, too."
                )
