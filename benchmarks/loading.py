"""How long training waits for data."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from benchmarks.command import command
from benchmarks.measure import Table, interleaved
from benchmarks.steps import Bare, training_step
from lightning_ecinn import shipped
from lightning_ecinn.datamodules import MNIST, CelebAHQ, DrawnFaces, FakeMNIST, InMemoryDataModule

__all__ = ["run", "write_celeba_hq"]


def run(quick: bool = False) -> list[Table]:
    """Seconds of loading a batch beside those of the step that uses it, for four data sets.

    Args:
        quick: few pictures and steps.
    """
    columns = ["data", "network of", "batch", "ms to load", "ms of the step", "% waiting"]
    table = Table("Waiting for data", columns)
    with tempfile.TemporaryDirectory() as folder:
        root = write_celeba_hq(Path(folder) / "data", count=8 if quick else 400)
        faces = DrawnFaces(num_train=64 if quick else 2000, val_size=0, batch_size=32, flip=True)
        cases: list[tuple[InMemoryDataModule, str]] = [
            (FakeMNIST(source="sample"), "fake_mnist_small"),
            (MNIST(source="sample", max_shift=1), "mnist_small"),
            (faces, "faces"),
            (CelebAHQ(root=str(root), cache=f"{folder}/cache"), "faces"),
        ]
        table.rows = [_waiting(data, name, repeats=1 if quick else 9) for data, name in cases]
    table.notes = [
        "Each data module's own training batches, shuffled, shifted and flipped as in the "
        "experiment; medians. The step waits for its batch: nothing loads ahead.",
        "CelebA-HQ: made pictures, decoded into the cache before and mapped from it.",
    ]
    return [table]


def write_celeba_hq(root: Path, count: int, side: int = 128) -> Path:
    """Write random pictures in the layout of the CelebAMask-HQ release; returns the folder.

    Args:
        root: to be created.
        count: how many pictures.
        side: of each, in pixels.
    """
    folder = root / "CelebA-HQ-img"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for k in range(count):
        pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.jpg")
    rows = [f"{k}.jpg {'-1' if k % 2 else '1'}" for k in range(count)]
    table = "\n".join([str(count), "Smiling", *rows])
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text(f"{table}\n")
    return root


def _waiting(data: InMemoryDataModule, experiment: str, repeats: int) -> list[Any]:
    data.prepare_data()
    batches = _endless(data)
    batch = next(batches)
    module = _network(experiment, data)
    calls = {"load": lambda: next(batches), "step": training_step(module, batch[:2])}
    seconds = interleaved(calls, repeats)
    load, step = (1000 * statistics.median(seconds[name]) for name in calls)
    share = 100 * load / (load + step)
    return [type(data).__name__, experiment, len(batch[1]), load, step, share]


def _endless(data: InMemoryDataModule) -> Iterator[Any]:
    """Training batches, epoch after epoch."""
    loader = data.train_dataloader()
    while True:
        yield from loader


def _network(experiment: str, data: InMemoryDataModule) -> Bare:
    """The network of an experiment's file, for these pictures; without its schedule."""
    text = (shipped.FOLDER / f"{experiment}.yaml").read_text()
    settings = yaml.safe_load(text)["model"]["init_args"]
    own = {"schedule": "multistep", "lr": 1e-6}
    return Bare(data.image_shape, data.num_classes, **{**settings, **own})


if __name__ == "__main__":
    command("loading", run)
