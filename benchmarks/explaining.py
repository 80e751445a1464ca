"""How fast images are classified, inverted and explained, beside the plain network."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.ceilings import best_convolution, flops
from benchmarks.measure import Table, interleaved, ratio
from benchmarks.plain import plain
from lightning_ecinn import Explainer, GenerativeClassifier
from lightning_ecinn.ecinn.steps import alpha_convincing, alpha_tipping, class_direction

__all__ = ["one_by_one", "run", "usable_network"]

_TINY: dict[str, Any] = {"blocks": (1, 1), "widths": (4, 4), "fc_width": 8}
_FACES: dict[str, Any] = {
    "blocks": (8, 24, 24),
    "widths": (16, 32, 64),
    "dropouts": (0.0, 0.0, 0.25),
}


def run(quick: bool = False) -> list[Table]:
    """Passes, counterfactuals, one counterfactual beside its two passes, chunk sizes."""
    digits = usable_network((1, 28, 28), **(_TINY if quick else {}))
    faces = usable_network((3, 8, 8) if quick else (3, 64, 64), **(_TINY if quick else _FACES))
    batches, repeats = ((2, 1), 1) if quick else ((128, 1), 15)
    few, stages = (2, ((4, 8),)) if quick else (32, ((16, 64), (32, 32), (64, 16)))
    ceilings = best_convolution(batches[0]), best_convolution(few, stages)
    return [
        _passes("Digits, 1x28x28", digits, batches, repeats, ceilings[0]),
        _passes("Faces, 3x64x64", faces, (few,), 1 if quick else 5, ceilings[1]),
        _counterfactuals(digits, few, 1 if quick else 7),
        _one_counterfactual(digits, batches, repeats),
        _chunks(digits, (1, 2) if quick else (32, 64, 128, 256, 512, 1024), 1 if quick else 3),
    ]


def usable_network(image_shape: tuple[int, int, int], **network: Any) -> GenerativeClassifier:
    """The paper's network for ten classes, untrained, such that it can explain.

    Batch norm's statistics are those of random images, the class means the mixture's own. Every
    block starts with scale 1.1 and not with the paper's, which float32 can't invert before
    training; the work is the same.
    """
    torch.manual_seed(0)
    classifier = GenerativeClassifier(image_shape, 10, init_scale=1.1, **network)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    with torch.no_grad():
        for _ in range(4):
            classifier.encode(torch.rand(32, *image_shape))
        classifier.class_means.copy_(classifier.mixture.component_means)
        classifier.class_counts.fill_(1)
    return classifier.eval()


@torch.no_grad()
def one_by_one(
    classifier: GenerativeClassifier, images: Tensor, targets: Tensor, *, tipping: bool = True
) -> Tensor:
    """Counterfactuals by a plain loop: every image encoded once, every latent inverted by itself.

    Args:
        classifier: in evaluation mode.
        images: (B, C, H, W), float in [0, 1].
        targets: (B, T), other classes than the predicted ones.
        tipping: make those at alpha_0 too, before those at alpha_1.

    Returns:
        (B T S, C, H, W), S = 2 with the tipping points, else 1.
    """
    mu, results = classifier.mixture.component_means, []
    for image, row in zip(images.split(1), targets, strict=True):
        z, _ = classifier.encode(image)
        source = classifier.mixture.log_posterior(z).argmax(1)
        for target in row.split(1):
            direction = class_direction(classifier.class_means, source, target)
            alpha_0 = alpha_tipping(z, direction, mu[source], mu[target])
            steps = [alpha_0] if tipping else []
            steps.append(alpha_convincing(alpha_0))
            results += [classifier.decode(z + alpha * direction) for alpha in steps]
    return torch.cat(results)


def _passes(
    title: str,
    classifier: GenerativeClassifier,
    batches: tuple[int, ...],
    repeats: int,
    ceiling: float,
) -> Table:
    """Forward and inverse: plain, the classifier in evaluation mode, folded."""
    columns = ["batch", "pass", "network", "ms per image", "images/s", "share of ceiling (%)"]
    table = Table(f"{title}: passes", [*columns, "times faster than plain"])
    work = flops(lambda: classifier.encode(torch.rand(1, *classifier.image_shape)))
    for batch in batches:
        seconds = interleaved(_pass_functions(classifier, batch), repeats)
        for name, times in seconds.items():
            direction, network = name.split(", ")
            rate = batch / statistics.median(times)
            share = 100 * rate * work / 1e9 / ceiling
            faster = ratio(seconds, f"{direction}, plain", name)
            table.rows.append([batch, direction, network, 1000 / rate, rate, share, faster])
    table.notes = [
        f"{work / 1e6:.0f} MFLOP per image and pass (2 per multiply-add). Ceiling: {ceiling:.0f} "
        "GFLOP/s, the best float32 convolution of the network's own shapes, measured just before. "
        "Plain: benchmarks/plain.py; unfolded: the classifier in evaluation mode; folded: "
        "`classifier.folded()`. Forward with the log-determinant, inverse without."
    ]
    return table


def _pass_functions(classifier: GenerativeClassifier, batch: int) -> dict[str, Callable[[], Any]]:
    flows = {
        "plain": (plain(classifier).flow, torch.no_grad),
        "unfolded": (classifier.flow, torch.no_grad),
        "folded": (classifier.folded().flow, torch.inference_mode),
    }
    with torch.no_grad():
        v = classifier.preprocessing(torch.rand(batch, *classifier.image_shape))
        z, _ = classifier.flow(v)

    def function(flow: nn.Module, mode: Any, x: Tensor, rev: bool) -> Callable[[], None]:
        def call() -> None:
            with mode():
                flow(x, rev=rev, jac=not rev)

        return call

    return {
        f"{direction}, {name}": function(flow, mode, x, direction == "inverse")
        for direction, x in (("forward", v), ("inverse", z))
        for name, (flow, mode) in flows.items()
    }


def _counterfactuals(classifier: GenerativeClassifier, count: int, repeats: int) -> Table:
    """All other classes and both steps: a plain loop beside the Explainer."""
    reference, explainer = plain(classifier), Explainer(classifier)
    images = torch.rand(count, *classifier.image_shape)
    targets = _other_classes(explainer, images)
    few = min(2, count)

    def explain_each() -> None:
        for image, target in zip(images[:few].split(1), targets[:few].split(1), strict=True):
            explainer.explain_steps(image, target)

    functions: dict[str, tuple[int, Callable[[], Any]]] = {
        "plain loop": (few, lambda: one_by_one(reference, images[:few], targets[:few])),
        "Explainer, image by image": (few, explain_each),
        f"Explainer, {count} images": (count, lambda: explainer.explain_steps(images, targets)),
    }
    seconds = interleaved({name: call for name, (_, call) in functions.items()}, repeats)
    table = Table(
        "Counterfactuals: nine targets, both steps",
        ["how", "counterfactuals/s", "ms per counterfactual", "times faster than the plain loop"],
    )
    for name, (number, _) in functions.items():
        rate = number * targets.shape[1] * 2 / statistics.median(seconds[name])
        faster = ratio(seconds, "plain loop", name) * number / few
        table.rows.append([name, rate, 1000 / rate, faster])
    table.notes = [
        "Digits, 1x28x28. The plain loop encodes each image once and inverts each counterfactual "
        "by itself, with the plain network, as the published code does. Ours: "
        "`Explainer.explain_steps`."
    ]
    return table


def _one_counterfactual(
    classifier: GenerativeClassifier, batches: tuple[int, ...], repeats: int
) -> Table:
    """One target per image beside one forward and one inverse pass."""
    columns = ["images", "explain (ms)", "forward (ms)", "inverse (ms)"]
    table = Table("One counterfactual and its two passes", [*columns, "explain / (both passes)"])
    explainer, folded = Explainer(classifier), classifier.folded()
    for batch in batches:
        images = torch.rand(batch, *classifier.image_shape)
        target = _other_classes(explainer, images)[:, 0]
        functions = _both_passes(explainer, folded, images, target)
        seconds = interleaved(functions, repeats)
        passes = [a + b for a, b in zip(seconds["forward"], seconds["inverse"], strict=True)]
        share = ratio({"explain": seconds["explain"], "passes": passes}, "explain", "passes")
        medians = [1000 * statistics.median(seconds[name]) for name in functions]
        table.rows.append([batch, *medians, share])
    table.notes = [
        "Digits, 1x28x28. The passes are those of the folded flow alone, without the "
        "log-determinant, which counterfactuals do not need."
    ]
    return table


def _both_passes(
    explainer: Explainer, folded: GenerativeClassifier, images: Tensor, target: Tensor
) -> dict[str, Callable[[], Any]]:
    v, (z, _) = folded.preprocessing(images), explainer.encode(images)

    def forward() -> None:
        with torch.inference_mode():
            folded.flow(v, jac=False)

    def inverse() -> None:
        with torch.inference_mode():
            folded.flow(z, rev=True, jac=False)

    def explain() -> None:
        explainer.explain(images, target)

    return {"explain": explain, "forward": forward, "inverse": inverse}


def _chunks(classifier: GenerativeClassifier, sizes: tuple[int, ...], repeats: int) -> Table:
    """How many images go through the network at once."""
    images = torch.rand(max(sizes), *classifier.image_shape)
    target = _other_classes(Explainer(classifier), images)[:, 0]
    explainers = {str(size): Explainer(classifier, chunk_size=size) for size in sizes}

    def function(explainer: Explainer) -> Callable[[], Any]:
        return lambda: explainer.explain(images, target)

    functions = {name: function(explainer) for name, explainer in explainers.items()}
    seconds = interleaved(functions, repeats, warmup=1)
    table = Table("Chunk sizes", ["chunk_size", "images/s"])
    rates = {name: len(images) / statistics.median(times) for name, times in seconds.items()}
    table.rows = [[name, rate] for name, rate in rates.items()]
    table.notes = [f"{len(images)} digits, one counterfactual each."]
    return table


def _other_classes(explainer: Explainer, images: Tensor) -> Tensor:
    """Every class but the predicted one, (B, K - 1)."""
    predicted = explainer.posterior(images).argmax(1, keepdim=True)
    return (predicted + torch.arange(1, explainer.num_classes)) % explainer.num_classes
