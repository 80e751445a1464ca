"""Autoencoders: the published ones and their values, ours trained, saved and loaded."""

from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn import load_classifier
from lightning_ecinn.metrics import en, im1, im2
from lightning_ecinn.models.autoencoders import AutoencoderNetwork, Autoencoders
from lightning_ecinn.models.checkpoints import load_autoencoders
from lightning_ecinn.training import ClassAutoencoders, SmallCNN

YARDSTICK = Path(__file__).parents[4] / "shared" / "yardstick"


@pytest.mark.data
@pytest.mark.skipif(not YARDSTICK.is_dir(), reason="the published pictures are not here")
@pytest.mark.parametrize("name", ["mnist", "fake_mnist"])
def test_published_pictures_have_their_published_values(name):
    with np.load(YARDSTICK / "check.npz") as file:
        arrays = {
            key.split("/")[1]: torch.from_numpy(file[key])
            for key in file.files
            if key.startswith(f"{name}/")
        }
    x, c = (arrays[key][:, None] / 255 for key in ("image", "counterfactual"))
    source, target = arrays["source"], arrays["target"]
    assert len(c) == 64
    autoencoders = load_autoencoders(f"{YARDSTICK / 'autoencoders.npz'}:{name}")
    expected = {key: arrays[key].double() for key in ("im1", "im2", "en")}
    found = {
        "im1": im1(c, source, target, autoencoders),
        "im2": im2(c, target, autoencoders),
        "en": en(x, c),
    }
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_the_network_is_the_published_one():
    network = AutoencoderNetwork((1, 28, 28))
    shapes = [tuple(conv.weight.shape[:2]) for conv in network.convolutions]
    assert shapes == [(16, 1), (16, 16), (1, 16), (16, 1), (16, 16), (1, 16)]
    code = network.encoder(torch.rand(2, 1, 28, 28))
    assert code.shape == (2, 1, 14, 14)
    assert network.decoder(code).shape == (2, 1, 28, 28)


@pytest.fixture
def ours():
    torch.manual_seed(0)
    return Autoencoders((1, 8, 8), 3, ("a", "b", "c"), width=4).double()


def test_each_image_goes_to_its_class(ours):
    v, label = torch.rand(7, 1, 8, 8).double() - 0.5, torch.tensor([2, 0, 0, 2, 2, 0, 2])
    expected = [ours.networks[k](image[None])[0] for image, k in zip(v, label, strict=True)]
    torch.testing.assert_close(ours.reconstruct(v, label), torch.stack(expected))
    assert torch.equal(ours.reconstruct(v), ours.networks[3](v))
    ours.reconstruct(v, label).sum().backward()
    strength = [next(network.parameters()).grad.abs().sum() for network in ours.networks[:3]]
    assert strength[0] > 0 < strength[2]
    assert strength[1] == 0  # not None, which several processes could not train with


def test_wrong_images_are_refused(ours):
    with pytest.raises(ValueError, match=r"\(B, 1, 8, 8\) can't reconstruct images \(2, 1, 6, 8\)"):
        ours.reconstruct(torch.zeros(2, 1, 6, 8))
    with pytest.raises(ValueError, match="even height and width, got"):
        Autoencoders((1, 7, 8), 2)
    with pytest.raises(ValueError, match="width is 0"):
        Autoencoders((1, 8, 8), 2, width=0)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Dark and light pictures: each class's autoencoder learns only its own."""
    torch.manual_seed(0)
    labels = torch.arange(120) % 2
    images = torch.randint(0, 80, (120, 1, 8, 8), dtype=torch.uint8)
    images[labels == 1] += 175
    module = ClassAutoencoders((1, 8, 8), 2, ("dark", "light"), width=8, lr=0.02)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=8, enable_checkpointing=False, **quiet)
    loader = DataLoader(TensorDataset(images, labels), batch_size=20)
    before = trainer.validate(module, loader, verbose=False)[0]["val/loss"]
    trainer.fit(module, loader, loader)
    after = trainer.validate(module, loader, verbose=False)[0]["val/loss"]
    path = tmp_path_factory.mktemp("autoencoders") / "best.ckpt"
    trainer.save_checkpoint(path)
    return module, path, (before, after), (images, labels)


def test_they_learn_their_classes(fitted):
    module, _, (before, after), (images, labels) = fitted
    assert after < before / 4
    c = images / 255
    own = im1(c, 1 - labels, labels, module.autoencoders.eval())
    other = im1(c, labels, 1 - labels, module.autoencoders)
    assert own.median() < 0.1 < 10 < other.median()


def test_the_loss_is_the_two_mean_squared_errors(fitted):
    module, _, (_, after), (images, labels) = fitted
    v = images / 255 - 0.5
    with torch.no_grad():
        errors = [(module(v, labels) - v), (module(v) - v)]
    assert after == pytest.approx(sum(e.square().mean().item() for e in errors), rel=1e-5)


def test_a_checkpoint_needs_nothing_else(fitted):
    module, path, _, (images, labels) = fitted
    loaded = load_autoencoders(path)
    assert loaded.config == module.autoencoders.config
    assert loaded.class_names == ("dark", "light")
    assert not loaded.training
    v = images / 255 - 0.5
    assert torch.equal(loaded.reconstruct(v, labels), module.autoencoders.reconstruct(v, labels))
    other = ClassAutoencoders((1, 8, 8), 3)
    with pytest.raises(ValueError, match="has num_classes 2, but the data's is 3"):
        other.on_load_checkpoint(torch.load(path, weights_only=True))


def test_wrong_files_are_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="fit` with model ClassAutoencoders"):
        load_autoencoders(tmp_path / "none.ckpt")
    with pytest.raises(FileNotFoundError, match="There are no autoencoders at"):
        load_autoencoders(tmp_path / "none.npz")
    network = {"network": SmallCNN((1, 8, 8), 2, widths=[4]).network.config, "state_dict": {}}
    torch.save(network, tmp_path / "network.ckpt")
    with pytest.raises(ValueError, match="holds an ordinary network, where autoencoders are ask"):
        load_autoencoders(tmp_path / "network.ckpt")
    with pytest.raises(ValueError, match="holds autoencoders, and counterfactuals need an inv"):
        load_classifier(fitted[1])
    checkpoint = torch.load(fitted[1], weights_only=True)
    checkpoint["autoencoders"]["width"] = 3
    torch.save(checkpoint, tmp_path / "torn.ckpt")
    with pytest.raises(ValueError, match="does not fit this version"):
        load_autoencoders(tmp_path / "torn.ckpt")
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "empty.npz").touch()
    with (tmp_path / "one_array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    for name in ("text.npz", "empty.npz", "one_array.npz"):
        with pytest.raises(ValueError, match="is not a file of published autoencoders"):
            load_autoencoders(tmp_path / name)


def test_published_files_by_prefix(tmp_path):
    torch.manual_seed(0)
    source = Autoencoders((1, 28, 28), 2, width=3)
    arrays = {}
    for name, network in zip(("ae_0", "ae_1", "ae_all"), source.networks, strict=True):
        for i, conv in enumerate(network.convolutions):
            for key, value in conv.state_dict().items():
                arrays[f"{name}/conv{i}/{key}"] = value.numpy()
    one = {f"one/{key}": value for key, value in arrays.items()}
    two = {f"two/{key}": -value for key, value in arrays.items()}
    np.savez(tmp_path / "bare.npz", **arrays)
    np.savez(tmp_path / "one.npz", **one)
    np.savez(tmp_path / "both.npz", **one, **two)
    for name in ("bare.npz", "one.npz", "one.npz:one", "both.npz:one"):
        loaded = load_autoencoders(tmp_path / name).state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in source.state_dict().items())
    for name in ("both.npz", "both.npz:three"):
        with pytest.raises(ValueError, match="PREFIX with one of one, two"):
            load_autoencoders(tmp_path / name)
    del one["one/ae_1/conv3/bias"]
    np.savez(tmp_path / "torn.npz", **one)
    with pytest.raises(ValueError, match=r"do not fit: 'ae_1/conv3/bias'"):
        load_autoencoders(tmp_path / "torn.npz")


def test_predict_says_what_they_are_for(fitted):
    with pytest.raises(ValueError, match="evaluate --autoencoders"):
        fitted[0].on_predict_start()


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"weight_decay": -1.0}])
def test_settings_that_can_not_train_are_refused(settings):
    with pytest.raises(ValueError, match=r"; give a (positive number|number that is not neg)"):
        ClassAutoencoders((1, 8, 8), 2, **settings)
