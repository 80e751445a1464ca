"""The ordinary networks of the benchmark: the one that is explained, and another one."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_ecinn.models import load_network
from lightning_ecinn.models.networks import ConvNetwork, Network
from lightning_ecinn.training.judge import moved_about
from lightning_ecinn.whole_files import write_whole

__all__ = ["accuracy", "kept_network", "train_network"]

EXPLAINED, OTHER = (16, 32, 64), (16, 32, 48, 64)
"""Widths of their stages: the other one is another network, not only another seed."""

_BATCH, _LR, _WEIGHT_DECAY = 128, 3e-3, 0.01


def kept_network(
    path: Path, images: Tensor, labels: Tensor, *, widths: tuple[int, ...], seed: int, epochs: int
) -> Network:
    """The network in a file, which is trained and written first where there is none.

    Args:
        path: a checkpoint, as `load_network` reads it.
        images: (N, C, H, W) uint8, to train it.
        labels: (N,).
        widths: of its stages.
        seed: of its weights, and of order and shifts.
        epochs: over all images.
    """
    if not path.is_file():
        print(f"{path.name}: training an ordinary network ...", file=sys.stderr, flush=True)
        network = train_network(images, labels, widths=widths, seed=seed, epochs=epochs)
        state = {f"network.{name}": value for name, value in network.state_dict().items()}
        with write_whole(path) as file:
            torch.save({"network": network.config, "state_dict": state}, file)
    return load_network(path)


def train_network(
    images: Tensor, labels: Tensor, *, widths: tuple[int, ...], seed: int, epochs: int
) -> ConvNetwork:
    """Train by AdamW and cross-entropy on images that are moved by up to two pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        shape, num_classes = tuple(images.shape[1:]), int(labels.max()) + 1
        network = ConvNetwork(shape, num_classes, widths=widths)
    generator, batch = torch.Generator().manual_seed(seed), min(_BATCH, len(images))
    steps = epochs * (len(images) // batch)
    adam = torch.optim.AdamW(network.parameters(), _LR, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, _LR, steps + 1)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for chosen in order[: len(order) // batch * batch].split(batch):
            moved = moved_about(images[chosen], generator, flip=False)
            loss = F.cross_entropy(network(moved), labels[chosen])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    """Share of images (N, C, H, W) uint8 that it takes for their labels (N,)."""
    seen = torch.cat([network(chunk).argmax(1) for chunk in images.split(256)])
    return (seen == labels).double().mean().item()
