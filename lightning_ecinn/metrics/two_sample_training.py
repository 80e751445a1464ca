"""The network of the classifier two-sample test, trained in a moment and forgotten."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

__all__ = ["learned", "training"]

_BATCH = 128
_STEPS = 100  # at least: a network that saw few images few times would say nothing
_LEARNING_RATE = 1e-2


@contextmanager
def training(seed: int, device: torch.device) -> Iterator[None]:
    """Gradients in full precision, wherever one is; torch's own random numbers stay as they were.

    Not `torch.manual_seed`: that seeds devices which are none of ours.
    """
    gpus = [device] if device.type == "cuda" else []
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        torch.random.fork_rng(devices=gpus),
    ):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def learned(
    network: Callable[[], nn.Module],
    real: Tensor,
    pictures: Tensor,
    epochs: int,
    device: torch.device,
    bar: tqdm,
) -> Callable[[Tensor], Tensor]:
    """Logits (B,) of images (B, C, H, W) being no real ones, by a network that learned from some.

    It draws from torch's own generator: use :func:`training`.

    Args:
        network: makes one.
        real: (n, C, H, W), uint8.
        pictures: likewise.
        epochs: how often it sees them; of few images more often.
        device: of the network.
        bar: moves on by 1.
    """
    model = network().to(device).train()
    images = torch.cat((real, pictures))
    labels = torch.tensor([0, 1], device=device).repeat_interleave(len(real))
    size = min(_BATCH, len(images))
    per_epoch = len(images) // size  # whole batches: batch norm has nothing to say of one image
    steps = max(epochs, math.ceil(_STEPS / per_epoch)) * per_epoch
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _LEARNING_RATE, total_steps=steps, cycle_momentum=False
    )
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(images))
        batch = order[step % per_epoch * size :][:size]
        loss = cross_entropy(model(images[batch].to(device)), labels[batch.to(device)])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.update(1 / steps)
    model.eval()

    @torch.no_grad()
    def logits(tested: Tensor) -> Tensor:
        parts = [model(part.to(device)).double() for part in tested.split(_BATCH)]
        known, other = torch.cat(parts).cpu().unbind(1)
        return other - known

    return logits
