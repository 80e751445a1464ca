"""The share of the heatmap in the right pixels, with data modules that know them or don't."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.training import IBINN

IMAGES = torch.randint(0, 256, (12, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.arange(12) % 2


class Knowing(InMemoryDataModule):
    """Says that all pixels are the right ones in every third image, and none in the others."""

    def __init__(self):
        super().__init__((3, 8, 8), ["a", "b"], val_size=2, eval_batch_size=5)
        self.asked = []

    def load(self, train):
        return IMAGES, LABELS

    def changed_pixels(self, split, indices, source, target):
        assert (source != target).all()
        self.asked += [(split, i) for i in indices.tolist()]
        return (indices % 3 == 0)[:, None, None, None].expand(-1, 1, 8, 8)


class Ordinary(Knowing):
    """Does not know them."""

    changed_pixels = InMemoryDataModule.changed_pixels


class Pairs(Knowing):
    """Has batches without indices."""

    def test_dataloader(self):
        return DataLoader(TensorDataset(IMAGES, LABELS), batch_size=6)


class Foreign(pl.LightningDataModule):
    """Has never heard of the question; the third part of its batches are no indices."""

    def test_dataloader(self):
        return DataLoader(TensorDataset(IMAGES, LABELS, torch.rand(12)), batch_size=6)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = IBINN((3, 8, 8), 2, blocks=[1], widths=[4], dropouts=[0.0], fc_width=8, init_scale=1.0)
    model.classifier.class_means.copy_(model.classifier.mixture.component_means.detach())
    model.classifier.class_counts.fill_(5)
    return model


def measured(model, data):
    settings = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", enable_checkpointing=False, **settings)
    (values,) = trainer.test(model, datamodule=data, verbose=False)
    assert "test/validity" in values
    return values.get("test/heatmap_mass")


def test_the_data_are_asked_for_each_image(model):
    data = Knowing()
    assert measured(model, data) == pytest.approx(1 / 3, abs=1e-6)
    assert data.asked == [("test", i) for i in range(12)]


@pytest.mark.parametrize("kind", [Ordinary, Pairs, Foreign])
def test_without_an_answer_there_is_no_number(model, kind):
    assert measured(model, kind()) is None
