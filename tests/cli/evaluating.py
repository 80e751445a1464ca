"""Models to evaluate, and the subcommand in an empty folder, for more than one file of tests."""

import csv

import pytest
import torch

from lightning_ecinn import ConvNetwork, GenerativeClassifier
from lightning_ecinn.cli.main import main
from lightning_ecinn.datamodules import MNIST
from lightning_ecinn.models.autoencoders import Autoencoders

SMALL = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_width": 8, "init_scale": 1.0}
SHAPE = (1, 28, 28)


def save(model, path, key, **more):
    state = {f"{key}.{name}": value for name, value in model.state_dict().items()}
    torch.save({key: model.config, "state_dict": state, **more}, path)
    return str(path)


def data(bars, **settings):
    return MNIST(source="full", root=str(bars), val_size=20, **settings)


def give_means(flow, dataset):
    """Let a flow's means, of its mixture and of its classes, be those of the latents by label."""
    with torch.no_grad():
        z, _ = flow.encode(dataset.images)
        means = [z[dataset.labels == k].mean(0) for k in range(flow.num_classes)]
        flow.mixture.component_means.copy_(torch.stack(means))
        flow.class_means.copy_(torch.stack(means))
    flow.class_counts.fill_(20)


@pytest.fixture(scope="module", name="models")
def make_models(bars, tmp_path_factory):
    """Checkpoints of a flow whose means are those of the bars, and of its judges."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    flow = GenerativeClassifier(SHAPE, 10, **SMALL).eval()
    give_means(flow, data(bars).dataset("train"))
    oracle, encoders = ConvNetwork(SHAPE, 10, widths=(4,)), Autoencoders(SHAPE, 10, width=1)
    stored = {"hyper_parameters": {"step": [0.9, 0.25]}}
    return {
        "flow": save(flow, folder / "flow.ckpt", "classifier", **stored),
        "oracle": save(oracle, folder / "oracle.ckpt", "network"),
        "autoencoders": save(encoders, folder / "autoencoders.ckpt", "autoencoders"),
        "colour": save(ConvNetwork((3, 28, 28), 10, widths=(4,)), folder / "c.ckpt", "network"),
        "other": save(ConvNetwork(SHAPE, 2, widths=(4,)), folder / "other.ckpt", "network"),
        "bare": save(GenerativeClassifier(SHAPE, 10, **SMALL), folder / "b.ckpt", "classifier"),
    }


@pytest.fixture(name="evaluate")
def make_evaluate(models, tiny, tmp_path, monkeypatch):
    """Run the subcommand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    common = ["evaluate", "--config=smoke.yaml", *tiny, "--bootstrap=20", "--deletion=2"]
    common += ["--told_apart=0", "--pages=false"]  # networks and pages take their time

    def run(*words, ckpt="flow"):
        return main([*common, f"--ckpt_path={models[ckpt]}", *words])

    return run


def rows_of(folder):
    with (folder / "counterfactuals.csv").open() as file:
        return list(csv.DictReader(file))
