"""Component means that begin where the classes are."""

import pytest
import pytorch_lightning as pl
import torch
from bars import PlainBars, network, trainer

from lightning_ecinn.callbacks import BuildClassMeans, ComponentMeansFromData


class SeeBeginning(pl.Callback):
    """Remembers the component means before the first step of a fit."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not hasattr(self, "means"):
            self.means = pl_module.classifier.mixture.component_means.detach().clone()


def test_they_are_the_mean_latents_by_label(tmp_path):
    module, data, seen = network(zero_init=True), PlainBars(), SeeBeginning()
    images, labels = data.train.tensors
    with torch.no_grad():
        z, _ = module.classifier.encode(images)  # linear, so the same in training
    expected = torch.stack([z[labels == k].mean(0) for k in range(3)])
    callbacks = [ComponentMeansFromData(images=1000), seen]
    trainer(tmp_path, *callbacks, max_epochs=1).fit(module, datamodule=data)
    torch.testing.assert_close(seen.means, expected, rtol=1e-4, atol=1e-4)


def test_a_resumed_training_keeps_its_means(tmp_path):
    data, seen = PlainBars(), SeeBeginning()
    first = trainer(tmp_path, ComponentMeansFromData(), max_epochs=1)
    first.fit(network(), datamodule=data)
    first.save_checkpoint(tmp_path / "first.ckpt")
    stored = first.model.classifier.mixture.component_means.detach().clone()
    more = trainer(tmp_path, ComponentMeansFromData(), seen, max_epochs=2)
    more.fit(network(), datamodule=data, ckpt_path=tmp_path / "first.ckpt")
    assert torch.equal(seen.means, stored)


def test_a_class_without_images_is_named(tmp_path):
    with pytest.raises(ValueError, match="among 1 training images there is none of"):
        trainer(tmp_path, ComponentMeansFromData(images=1), max_epochs=1).fit(
            network(), datamodule=PlainBars()
        )


@pytest.mark.parametrize("images", [0, -1])
def test_at_least_one_image(images):
    with pytest.raises(ValueError, match="images must be at least 1"):
        ComponentMeansFromData(images=images)


def test_significance_reaches_the_means(tmp_path):
    """Classes that hardly differ get the mean of all."""
    modules = []
    for level in (None, 1e-300):
        pl.seed_everything(0)
        module = network(lr=1e-300, optimizer="sgd", weight_decay=0.0)
        callback = BuildClassMeans(significance=level)
        trainer(tmp_path, callback, max_epochs=1).fit(module, datamodule=PlainBars())
        modules.append(module.classifier)
    plain, same = (model.class_means[model.class_counts > 0] for model in modules)
    assert len(plain) > 1
    assert (plain - plain[0]).abs().max() > 1e-3
    torch.testing.assert_close(same, same[:1].expand_as(same), rtol=0, atol=0)
