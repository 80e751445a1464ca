"""Random numbers that belong to an image: no batch and no process changes them."""

import pytest
import pytorch_lightning as pl
import torch

from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.by_image import dequantised, other_classes, split_mix


def images(count=64, channels=1):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 8, 8), generator=generator).byte()


def test_split_mix_is_the_published_generator():
    found = split_mix(torch.tensor([1234567, 0]), 5)
    assert [number % 2**64 for number in found[0].tolist()] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert found[1, 0].item() % 2**64 == 0xE220A8397B1DCDAF


def test_batches_and_order_change_nothing():
    x, order = images(), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(64) % 10
    whole, targets = dequantised(x), other_classes(x, classes, 10)
    for part in order.split(7):
        assert torch.equal(dequantised(x[part]), whole[part])
        assert torch.equal(other_classes(x[part], classes[part], 10), targets[part])


def test_floats_get_the_draws_of_their_grey_levels():
    x = images(channels=3)
    assert torch.allclose(dequantised(x), dequantised(x / 255), atol=1e-6)
    classes = torch.zeros(64, dtype=torch.long)
    assert torch.equal(other_classes(x, classes, 4), other_classes(x / 255, classes, 4))


def test_the_noise_is_uniform_and_differs_by_pixel_image_and_seed(monkeypatch):
    x = images(400)
    u = 255 * dequantised(x) + 0.5 - x
    assert u.min() > -1e-3
    assert u.max() < 1 + 1e-3
    assert u.mean() == pytest.approx(1 / 2, abs=0.01)
    assert u.var() == pytest.approx(1 / 12, abs=0.003)
    assert (torch.corrcoef(u[:50].flatten(1)) - torch.eye(50)).abs().max() < 0.6
    same = torch.zeros(1, 1, 8, 8).byte()
    alone = dequantised(same)
    assert alone.unique().numel() == 64
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert not torch.equal(dequantised(same), alone)


def test_other_classes_are_uniform_and_never_the_same():
    classes = torch.arange(2000) % 5
    found = other_classes(images(2000), classes, 5)
    shifts = ((found - classes) % 5).bincount(minlength=5)
    assert shifts[0] == 0
    assert (shifts[1:] - 500).abs().max() < 100
    assert torch.equal(
        other_classes(images(4), torch.tensor([0, 1, 0, 1]), 2), 1 - torch.tensor([0, 1, 0, 1])
    )


class Noise(InMemoryDataModule):
    """Images of noise in three classes."""

    def __init__(self, eval_batch_size):
        names = ["a", "b", "c"]
        super().__init__((1, 8, 8), names, val_size=0, eval_batch_size=eval_batch_size)

    def load(self, train):
        return images(), torch.arange(64) % 3


def test_no_batch_size_changes_what_test_finds(tmp_path):
    pl.seed_everything(0)
    module = IBINN((1, 8, 8), 3, blocks=[1, 1], widths=[4, 4], dropouts=[0.0, 0.0], fc_width=8)
    module.classifier.class_means.copy_(module.classifier.mixture.component_means)
    module.classifier.class_counts.fill_(1)
    settings = {"accelerator": "cpu", "logger": False, "default_root_dir": tmp_path}
    trainer = pl.Trainer(**settings, enable_checkpointing=False, enable_progress_bar=False)
    one, other = (trainer.test(module, Noise(size), verbose=False)[0] for size in (64, 7))
    assert 0 < one["test/validity"] <= 1
    assert one == pytest.approx(other, rel=1e-6)
