"""The one-cycle schedule, which goes on when a training is made longer or shorter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_info
from torch.optim.lr_scheduler import OneCycleLR

__all__ = ["OneCycle"]


class OneCycle(OneCycleLR):
    r"""Warm up and anneal to zero, step by step: torch's schedule, over the steps there are.

    Where a training goes on with another number of steps left, by other epochs, batches or
    processes, what is left of the cycle is spread over them: at step n the rate is the cycle's at

    .. math:: p + (n - s) \frac{T_0 - 1 - p}{T - 1 - s}

    of its T_0 steps, where the training went on after step s, then at p of the cycle, and ends
    after T steps. So the learning rate goes on from where it was, and the last step has the lowest.

    Args:
        optimizer: its learning rates are the highest.
        warmup: share of the steps spent warming up.
        count_left: how many steps are left, as far as the trainer has been restored.

    Raises:
        ValueError: nobody says how many steps there are.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, warmup: float, count_left: Callable[[], float]
    ):
        left = count_left()
        if math.isinf(left):
            raise ValueError(
                "The schedule onecycle must know how many steps there are, and neither the epochs "
                "nor the steps are limited, or the data have no length: give "
                "--trainer.max_epochs (with data of known length) or --trainer.max_steps; "
                "--trainer.max_time may end it earlier."
            )
        num_steps = max(int(left), 2)
        self.num_steps = num_steps
        self.knot = (0, 0.0)  # s, p
        self._count_left = count_left
        super().__init__(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=num_steps,
            # A warm-up of exactly one step makes the scheduler divide by zero.
            pct_start=warmup + 1e-6 if warmup * num_steps == 1 else warmup,
            cycle_momentum=False,
        )

    def get_lr(self) -> list[float | torch.Tensor]:
        """The learning rates of the present step."""
        step = self.last_epoch
        self.last_epoch = self._position(step)  # type: ignore[assignment]
        try:
            return super().get_lr()
        finally:
            self.last_epoch = step

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        state = super().state_dict()
        del state["_count_left"]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, with the steps that are left now.

        Raises:
            ValueError: there are more steps, and the cycle is over.
        """
        whole = {"num_steps": state_dict["total_steps"], "knot": (0, 0.0)}  # torch's own
        super().load_state_dict(whole | state_dict)
        left, done = self._count_left(), self.last_epoch
        if left == 0 or done + left == self.num_steps:
            return
        position, before = self._position(done), self.num_steps
        if position >= self.total_steps - 1:
            raise ValueError(
                f"The one-cycle schedule in the checkpoint is over: after {done} steps its "
                f"learning rate is annealed to zero, so {left:g} more would change nothing: start "
                "a new training, of an IBINN from these weights with init_from."
            )
        self.knot, self.num_steps = (done, position), done + int(left)
        if done:
            rank_zero_info(
                f"The one-cycle schedule is stretched: {done} of {before} steps are done, and its "
                f"rest is spread over the {left:g} steps that are left now, not {before - done}."
            )

    def _position(self, step: int) -> float:
        """Where in the cycle a step is; as torch has it, one step after the last one at most."""
        done, position = self.knot
        pace = (self.total_steps - 1 - position) / max(self.num_steps - 1 - done, 1)
        return min(position + (step - done) * pace, self.total_steps)
