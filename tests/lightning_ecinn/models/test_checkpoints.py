"""Explainers from files: what comes back, and what is refused."""

import os
import pickle
from random import Random

import pytest
import torch

from lightning_ecinn import Explainer, GenerativeClassifier, load_classifier, shipped
from lightning_ecinn.models.checkpoints import read_checkpoint

SHAPE = (1, 4, 4)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = GenerativeClassifier(
        SHAPE, 3, ["ant", "bee", "cow"], blocks=(1,), widths=(4,), dropouts=(0,), fc_width=8
    )
    means = model.mixture.component_means.detach()
    model.class_means.copy_(means + 0.1 * torch.randn_like(means))
    model.class_counts.copy_(torch.tensor([3, 4, 5]))
    return model.eval()


def entries(model):
    state = {"classifier." + key: value for key, value in model.state_dict().items()}
    return {"classifier": model.config, "state_dict": {**state, "other.weight": torch.ones(2)}}


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save(entries(model), path)
    return path


def test_quantiles_are_kept_and_older_files_have_none(model, path, tmp_path):
    assert not load_classifier(path).has_log_prob_quantiles
    model.log_prob_quantiles.copy_(torch.linspace(-5, 5, 1001))
    torch.save(entries(model), path)
    loaded = load_classifier(path)
    assert loaded.has_log_prob_quantiles
    assert torch.equal(loaded.log_prob_quantiles, model.log_prob_quantiles)

    older = entries(model)
    del older["state_dict"]["classifier.log_prob_quantiles"]
    torch.save(older, tmp_path / "older.ckpt")
    without = load_classifier(tmp_path / "older.ckpt")
    assert not without.has_log_prob_quantiles
    assert torch.equal(without.class_means, model.class_means)
    # Nor do a classifier's own quantiles stay when it takes such weights.
    state = {k: v for k, v in model.state_dict().items() if k != "log_prob_quantiles"}
    loaded.load_state_dict(state)
    assert not loaded.has_log_prob_quantiles
    assert "log_prob_quantiles" not in state


def test_the_shipped_model_loads():
    path = shipped.FOLDER / "models" / "mnist_small.ckpt"
    explainer = Explainer.from_checkpoint(path)
    certificate = explainer.explain(torch.zeros(1, 1, 28, 28), 1).certificate
    assert (certificate.quantile_after is None) != explainer.classifier.has_log_prob_quantiles


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(model, path, dtype):
    torch.manual_seed(1)
    images = torch.rand(4, *SHAPE)
    explainer = Explainer.from_checkpoint(path, dtype=dtype, chunk_size=3)
    assert explainer.dtype == dtype
    assert explainer.chunk_size == 3
    assert explainer.class_names == ("ant", "bee", "cow")
    assert explainer.classifier.class_counts.tolist() == [3, 4, 5]
    given = explainer.explain(images, 1)
    expected = Explainer(model.to(dtype)).explain(images, 1)
    torch.testing.assert_close(given.image, expected.image)
    torch.testing.assert_close(given.alpha, expected.alpha)
    if dtype == torch.float64:
        error = explainer.reconstruct(images) - images.double()
        assert error.abs().max() < 1e-9


def test_loaded_state_is_bit_identical(model, path):
    loaded = load_classifier(str(path))
    assert not loaded.training
    assert loaded.config == model.config
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    assert read_checkpoint(path, "classifier").config == model.config


def test_config_is_plain_values(model, path):
    """So that it passes weights_only, and a person can read it."""
    assert torch.load(path, weights_only=True)["classifier"] == model.config


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No checkpoint at .*none.ckpt: give the path"):
        Explainer.from_checkpoint(tmp_path / "none.ckpt")
    with pytest.raises(FileNotFoundError, match="No checkpoint"):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"{}", Random(0).randbytes(1000), b"PK\x03\x04 torn"]
)
def test_not_a_checkpoint(tmp_path, content):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a checkpoint of a lightning_ecinn classifier"):
        load_classifier(path)


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ({"state_dict": {}}, "classifier"),
        ({"classifier": {}}, "state_dict"),
        ([1, 2], "classifier"),
        (torch.ones(3), "classifier"),
        ({}, "classifier"),
    ],
)
def test_a_checkpoint_of_something_else(tmp_path, content, missing):
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"not a checkpoint of a .* no entry '{missing}'"):
        load_classifier(path)


def test_a_torn_file(path):
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="not a checkpoint"):
        load_classifier(path)


@pytest.mark.parametrize("damage", ["argument", "missing", "shape"])
def test_a_classifier_that_does_not_fit(model, tmp_path, damage):
    content = entries(model)
    if damage == "argument":
        content["classifier"] = {**model.config, "colour": "red"}
    elif damage == "missing":
        del content["state_dict"]["classifier.class_means"]
    else:
        content["classifier"] = {**model.config, "fc_width": 9}
    path = tmp_path / "unfit.ckpt"
    torch.save(content, path)
    with pytest.raises(ValueError, match="does not fit this version"):
        load_classifier(path)


class Malicious:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (self.witness,)


@pytest.mark.parametrize("save", ["torch", "pickle"])
def test_a_checkpoint_can_not_run_code(model, tmp_path, save):
    witness, path = str(tmp_path / "witness"), tmp_path / "evil.ckpt"
    content = {**entries(model), "callbacks": Malicious(witness)}
    if save == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match="not a checkpoint"):
        load_classifier(path)
    assert not os.path.exists(witness)
    torch.load(path, weights_only=False) if save == "torch" else pickle.loads(path.read_bytes())
    assert os.path.exists(witness)  # it would have run
