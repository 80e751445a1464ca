"""The models that ship with the package."""

import json

import pytest
import torch

from lightning_ecinn import Explainer, shipped
from lightning_ecinn.cli.main import main
from lightning_ecinn.datamodules import MNIST, FakeMNIST

NAMES = {"mnist_small": MNIST, "mnist": MNIST, "fake_mnist": FakeMNIST}


def some_images(name, count):
    data = NAMES[name](source="sample")
    data.setup("test")
    images, labels, _ = data.dataset("test")[torch.arange(count)]
    return data, images, labels


def test_there_are_no_others():
    files = {path.stem for path in shipped.MODELS.glob("*.ckpt")}
    assert files == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_says_how_it_was_made(name):
    folder = shipped.MODELS
    assert (folder / f"{name}.ckpt").stat().st_size < 8 * 2**20
    assert (folder / f"{name}.config.yaml").read_text()
    assert json.loads((folder / f"{name}.json").read_text())["latest"]["test/accuracy"] > 0.99
    assert f"`{name}.ckpt`" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_it_explains_by_name(name):
    data, images, labels = some_images(name, 40)
    explainer = Explainer.from_checkpoint(f"pretrained:{name}")
    assert explainer.class_names == tuple(data.class_names)
    assert (explainer.posterior(images).argmax(1) == labels).float().mean() > 0.95
    cf = explainer.explain(images, (labels + 1) % 10, undefined="keep")
    assert cf.certificate.holds.float().mean() > 0.9, cf.certificate.reason


def test_of_fake_digits_the_right_pixels_change():
    data, images, labels = some_images("fake_mnist", 40)
    target = (labels + 3) % 10
    cf = Explainer.from_checkpoint("pretrained:fake_mnist").explain(images, target)
    change = (cf.image_8bit - cf.input).abs()
    mask = data.mask(labels, target)
    assert cf.certificate.holds.all()
    assert ((change * mask).sum((1, 2, 3)) / change.sum((1, 2, 3))).mean() > 0.75
    assert (change * mask).sum((1, 2, 3)).min() > 1.9  # one pixel goes, one comes


def test_no_such_model_is_one_sentence():
    with pytest.raises(ValueError, match=r"those that ship are .*pretrained:mnist"):
        Explainer.from_checkpoint("pretrained:cifar")


def test_the_command_line_tests_it_by_name(tmp_path):
    """One batch of the sample's test images, with the whole command line."""
    given = ["--ckpt_path=pretrained:mnist_small", f"--trainer.default_root_dir={tmp_path}"]
    given += ["--trainer.limit_test_batches=1", "--trainer.callbacks=null"]
    cli = main(["test", "--config=quickstart.yaml", *given])
    metrics = cli.trainer.callback_metrics
    assert metrics["test/accuracy"] > 0.97
    assert metrics["test/validity"] > 0.95
    assert metrics["test/bpd_paper"] < 2.1
