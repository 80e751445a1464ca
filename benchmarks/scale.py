"""How cost grows with classes, pixels, depth and batch; the speed of building class means."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch

from benchmarks.command import command
from benchmarks.growth import LAST, Axis, Growth, plot
from benchmarks.measure import Table, interleaved, ratio
from benchmarks.steps import MNIST, TINY, Network, RandomImages, random_batch, training_step
from lightning_ecinn import Explainer
from lightning_ecinn.callbacks.class_means import build_class_means

__all__ = ["run"]

_TRAINING_SET = 60_000


def run(quick: bool = False) -> list[Table]:
    """Explaining and training against four sizes, with a picture; building class means.

    Args:
        quick: two small sizes each, and a tiny network.
    """
    growths = [_growth(axis, repeats=1 if quick else 5) for axis in _axes(quick)]
    columns = ["size", "what", "sizes", "seconds", "exponent of all", f"of the last {LAST}"]
    table = Table("How cost grows", columns, picture=lambda path: plot(growths, path))
    for growth in growths:
        sizes = ", ".join(str(size) for size in growth.axis.sizes)
        for kind, seconds in growth.seconds.items():
            shown = ", ".join(f"{value:.3g}" for value in seconds)
            exponents = growth.law(kind)[1], growth.law(kind, LAST)[1]
            table.rows.append([growth.axis.name, kind, sizes, shown, *exponents])
    table.notes = [
        "Seconds of one call, explaining or one training step, grow with size^exponent. At small "
        "sizes the fixed cost of calling each layer dominates: the largest tell more.",
        "Classes: two images of 1x32x32 to all classes. Pixels: eight images of 3 colours, sizes "
        "are sides, exponents those of their squares. Blocks: 16 images of 1x28x28. Batch: the "
        "same with 8 blocks. Picture: scale.png.",
    ]
    network, count = (TINY, 8) if quick else (MNIST, 2500)
    return [table, _class_means(network, count, repeats=1 if quick else 3)]


def _axes(quick: bool) -> list[Axis]:
    grey = (1, 28, 28)
    axes = [
        Axis("classes", (2, 10, 100, 1000), lambda k: (_small((1, 32, 32), k, 4), 2, True)),
        Axis("pixels", (16, 32, 64, 128), lambda s: (_small((3, s, s), 2, 4), 8, False), power=2),
        Axis("blocks", (12, 24, 48, 96), lambda n: (_small(grey, 10, n), 16, False)),
        Axis("batch", (1, 8, 32, 128, 512), lambda b: (_small(grey, 10, 8), b, False)),
    ]
    if quick:
        axes = [Axis(a.name, a.sizes[:2], a.case, a.power) for a in axes]
    return axes


def _small(image_shape: tuple[int, ...], num_classes: int, blocks: int) -> dict[str, Any]:
    """Settings of a network of two stages."""
    return {
        **{"image_shape": image_shape, "num_classes": num_classes, "init_scale": 1.1},
        **{"blocks": [blocks // 2, blocks // 2], "widths": [32, 64], "fc_width": 64},
    }


def _growth(axis: Axis, repeats: int) -> Growth:
    seconds: dict[str, list[float]] = {"explaining": [], "training": []}
    for size in axis.sizes:
        settings, batch, every = axis.case(size)
        times = interleaved(_calls(Network(axis.name, settings, batch), every), repeats)
        for kind, values in times.items():
            seconds[kind].append(statistics.median(values))
    return Growth(axis, seconds)


def _calls(network: Network, every: bool) -> dict[str, Callable[[], Any]]:
    """Explaining a batch, to one other class or to every class, and a training step on it."""
    images, labels = network.data()
    explainer = _usable(network)
    other = (explainer.posterior(images).argmax(1) + 1) % explainer.num_classes
    target = torch.arange(explainer.num_classes).expand(len(images), -1) if every else other
    return {
        "explaining": lambda: explainer.explain(images, target),
        "training": training_step(network.build(), (images, labels)),
    }


@torch.no_grad()
def _usable(network: Network) -> Explainer:
    """An untrained network that can explain: with batch-norm statistics and class means."""
    classifier = network.build().classifier
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    images, _ = random_batch(classifier.image_shape, 2, 16)
    classifier.encode(images)
    classifier.class_means.copy_(classifier.mixture.component_means)
    classifier.class_counts.fill_(1)
    return Explainer(classifier)


def _class_means(network: Network, count: int, repeats: int) -> Table:
    module, batch = network.build(), 250
    shape, num_classes = network.settings["image_shape"], network.settings["num_classes"]
    trainer = pl.Trainer(logger=False, enable_progress_bar=False, enable_checkpointing=False)
    trainer.datamodule = data = RandomImages(shape, num_classes, count, batch)  # type: ignore[attr-defined]
    images = data.dataset("train")[torch.arange(count)].images

    @torch.no_grad()
    def forward() -> None:
        module.eval()
        for chunk in images.split(batch):
            module.classifier.encode(chunk)

    calls = {"forward": forward, "means": lambda: build_class_means(trainer, module)}
    seconds = interleaved(calls, repeats, warmup=1)
    means = statistics.median(seconds["means"])
    columns = ["network", "images", "forward images/s", "means images/s", "means / forward", "s"]
    columns[-1] = f"s for {_TRAINING_SET:,} images"
    speed = count / statistics.median(seconds["forward"]), count / means
    relative = ratio(seconds, "means", "forward")
    row = [network.name, count, *speed, relative, means / count * _TRAINING_SET]
    notes = [f"Batches of {batch}; means / forward: seconds of the one over those of the other."]
    return Table("Building class means", columns, [row], notes)


if __name__ == "__main__":
    command("scale", run)
