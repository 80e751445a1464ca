"""What the benchmark of any classifier's counterfactuals is made of: networks, images, methods."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.classifiers_networks import EXPLAINED, OTHER, accuracy, kept_network
from benchmarks.classifiers_rows import Judges, Method, Question
from benchmarks.prototypes import Prototypes
from benchmarks.searches import LatentSearch, Searched, Wachter
from lightning_ecinn import MNIST, Explainer
from lightning_ecinn.blackbox import BlackBoxExplainer
from lightning_ecinn.evaluation.targets import Pairs, choose_targets
from lightning_ecinn.models import load_autoencoders, load_network
from lightning_ecinn.models.networks import Network
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["Setup", "latent", "ours", "prototypes", "wachter"]


@dataclass(frozen=True)
class Setup:
    """Everything that is asked and asks.

    Attributes:
        explainer: ours, of the explained network.
        judges: that network, another one, autoencoders.
        question: every image that has a counterfactual, in the order of the data set.
        references: training images (N, C, H, W) in [0, 1]: of class means and of prototypes.
        accuracies: of the explained network and of the other one, on the test images.
    """

    explainer: BlackBoxExplainer
    judges: Judges
    question: Question
    references: Tensor
    accuracies: tuple[float, float]

    @classmethod
    def of(cls, options: argparse.Namespace) -> Setup:
        """As the command line says; networks are trained where there are none yet."""
        data = MNIST(source=options.source, root=options.root)
        images, labels = data.load(train=False)
        pairs = choose_targets(options.targets, labels.numpy(), 10, seed=options.seed)
        found = load_autoencoders(options.autoencoders) if options.autoencoders else None
        flow = Explainer.from_checkpoint(options.flow, truncation=options.truncation)
        flow.classifier.requires_grad_(False)
        explained, other = _networks(options, data)  # last: it may take minutes
        references = data.load(train=True)[0][: options.means]
        explainer = Explainer.for_classifier(flow, explained, references)
        question = _question(options, explained, images, pairs)
        accuracies = (accuracy(explained, images, labels), accuracy(other, images, labels))
        judges = Judges(explained, other, found)
        return cls(explainer, judges, question, references / 255, accuracies)


def ours(explainer: BlackBoxExplainer, confidence: float) -> Method:
    """Certified steps: the classifier is asked along the line between two class means."""

    def method(images: Tensor, target: Tensor) -> Searched:
        explainer.flow.confidence = confidence
        cf = explainer.explain(images, target, "certified", undefined="keep")
        return Searched(cf.image_8bit, cf.defined, cf.forward_evaluations)

    return method


def wachter(setup: Setup, settings: Wachter, confidence: float) -> Method:
    """Wachter's search among pictures."""
    return lambda images, target: settings(setup.judges.explained, images, target, confidence)


def latent(setup: Setup, settings: LatentSearch, confidence: float) -> Method:
    """Gradient ascent in the latent space of the same flow as ours."""
    flow, network = setup.explainer.flow.classifier, setup.judges.explained
    return lambda images, target: settings(flow, network, images, target, confidence)


def prototypes(setup: Setup, settings: dict[str, Any], confidence: float) -> Method:
    """CounterfactualProto of alibi, which is built at the first call, with its k-d trees."""
    built: list[Prototypes] = []

    def method(images: Tensor, target: Tensor) -> Searched:
        if not built:
            built.append(Prototypes(setup.explainer.predictor, setup.references, **settings))
        found = Searched(images.clone(), torch.zeros_like(target).bool(), target * 0)
        for k, q in enumerate(target.tolist()):
            before = built[0].asked
            picture = built[0](images[k : k + 1], q, confidence)
            found.asked[k] = built[0].asked - before
            if picture is not None:
                found.pictures[k], found.found[k] = round_to_8_bits(picture)[0], True
        return found

    return method


def _networks(options: argparse.Namespace, data: MNIST) -> tuple[Network, Network]:
    """The explained network and the other one: given, or trained and kept."""
    images, labels = data.load(train=True)
    images, labels = images[: options.training], labels[: options.training]
    kinds = {"explained": EXPLAINED, "other": OTHER}
    given = {name: getattr(options, name) for name in kinds}
    networks = {name: load_network(path) for name, path in given.items() if path is not None}
    for seed, (name, widths) in enumerate(kinds.items(), options.seed):
        if name not in networks:
            settings = {"widths": widths, "seed": seed, "epochs": options.epochs}
            path = options.out / f"{name}.ckpt"
            networks[name] = kept_network(path, images, labels, **settings)
    explained, other = (networks[name].requires_grad_(False) for name in kinds)
    return explained, other


@torch.no_grad()
def _question(
    options: argparse.Namespace, network: Network, images: Tensor, pairs: Pairs
) -> Question:
    """The images and classes that are asked for, but where the network says so already."""
    index, target = torch.from_numpy(pairs.index), torch.from_numpy(pairs.target)
    source = torch.cat([network(chunk).argmax(1) for chunk in images.split(256)])[index]
    index, source, target = (v[source != target] for v in (index, source, target))
    weights = b"".join(v.numpy().tobytes() for v in network.state_dict().values())
    digest = hashlib.sha256(weights).hexdigest()[:12]
    of = f"network {digest}, flow {options.flow}, {options.means} references"
    return Question(images[index] / 255, source, target, index, of)
