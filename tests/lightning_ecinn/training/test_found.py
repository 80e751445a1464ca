"""Settings that are found: each rule where it changes, and a module that takes them."""

import pytest
import pytorch_lightning as pl
import torch
import yaml

from lightning_ecinn import IBINN, InMemoryDataModule, find_settings, shipped
from lightning_ecinn.flows.transforms import HaarDownsampling
from lightning_ecinn.training.found import (
    FOUND,
    FOUND_IN_DATA,
    find_blocks,
    find_haar_gain,
    find_means_lr_factor,
    find_noise,
    find_widths,
    share_at_ends,
)


class Made(InMemoryDataModule):
    def __init__(self, images):
        super().__init__(images.shape[1:], ["a", "b"], val_size=4)
        self.images = images

    def load(self, train):
        return self.images, torch.arange(len(self.images)) % 2


def images(side=16, channels=1, count=40):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(256, (count, channels, side // 2, side // 2), generator=generator)
    return coarse.repeat_interleave(2, 2).repeat_interleave(2, 3).byte()


@pytest.mark.parametrize(
    ("side", "count", "blocks"),
    [(28, 3000, [8, 8]), (32, 2999, [6, 6]), (64, 50_000, [4, 8, 8]), (64, 1000, [4, 6, 6])],
)
def test_blocks_by_resolution_and_number_of_images(side, count, blocks):
    assert find_blocks(side, count) == blocks
    assert len(find_widths(side)) == len(blocks)


def test_means_learn_more_slowly_the_more_dimensions_there_are():
    factors = [find_means_lr_factor(d) for d in (256, 784, 1024, 3072, 4096, 12_288, 50_000)]
    assert factors[:2] == [3.0, 3.0]
    assert factors[-2:] == [0.5, 0.5]
    assert factors == sorted(factors, reverse=True)
    middle = round((784 * 12_288) ** 0.5)  # log-linear: the geometric mean
    assert find_means_lr_factor(middle) == pytest.approx((3.0 * 0.5) ** 0.5, rel=0.05)


def test_the_gain_makes_details_as_large_as_averages():
    noisy = torch.randint(256, (50, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    smooth = (images(channels=3, count=50).float() / 2 + noisy / 4).byte()
    gain = find_haar_gain(smooth)
    assert 1 < gain < 8
    haar = HaarDownsampling([(3, 16, 16)], gain=gain).double()
    (y,), _ = haar((smooth.double(),))
    averages, *details = y.unflatten(1, (3, 4)).unbind(2)
    spread = torch.stack(details).square().mean().sqrt()
    assert float(averages.std(correction=0) / spread) == pytest.approx(1, abs=0.05)


def test_the_gain_has_its_bounds():
    assert find_haar_gain(images()) == 8  # no details at all
    assert find_haar_gain(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)) == 1
    checks = torch.tensor([[255, 0], [0, 255]]).repeat(2, 1, 4, 4).byte()
    assert find_haar_gain(checks) == 1  # nothing but details


def test_drawings_get_less_noise_than_photographs():
    drawing = torch.zeros(5, 1, 10, 10, dtype=torch.uint8)
    drawing[:, :, 2:4] = 250
    drawing[:, :, 4:6] = 128
    assert share_at_ends(drawing) == pytest.approx(0.8)
    assert find_noise(share_at_ends(drawing)) == 0.01
    assert find_noise(share_at_ends(images(count=200))) == 0.03


def test_a_module_takes_what_is_found():
    data = Made(images())
    found = find_settings(data)
    assert set(found.reasons) == set(FOUND)
    assert found.line("blocks") == "blocks: 6, 6 (16 x 16, 36 images)"
    assert found.describe().count("\n") == len(FOUND) - 1
    module = IBINN(data.image_shape, data.num_classes, data.class_names, **found.model)
    assert {name: module.hparams[name] for name in FOUND} == {n: found.model[n] for n in FOUND}


def test_the_recipe_is_the_shipped_one_and_null_where_it_is_found():
    content = yaml.safe_load((shipped.FOLDER / "own.yaml").read_text())
    model, data = content["model"]["init_args"], content["data"]["init_args"]
    assert {name for name, value in model.items() if value is None} == set(FOUND)
    assert {name for name, value in data.items() if value is None} == set(FOUND_IN_DATA)
    found = find_settings(Made(images()))
    assert {n: v for n, v in found.model.items() if n not in FOUND}.items() <= model.items()


@pytest.mark.parametrize("name", FOUND)
def test_null_is_for_the_command_line(name):
    with pytest.raises(ValueError, match=rf"^{name} is None.* find_settings\(data\)\.model\.$"):
        IBINN((1, 16, 16), 2, **{name: None})


def test_other_data_are_refused():
    with pytest.raises(ValueError, match="LightningDataModule is none: derive it"):
        find_settings(pl.LightningDataModule())
