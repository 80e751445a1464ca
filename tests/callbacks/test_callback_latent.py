"""The latent view and the atlas of a run: files, loggers' keys, and what is said instead."""

import matplotlib.image
import numpy as np
import pytest
from bars import PlainBars, bars, network, trainer
from pytorch_lightning.loggers import WandbLogger
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn.callbacks import BuildClassMeans, LatentAtlas, LatentView
from lightning_ecinn.training import IBINN, SmallCNN


def pictures(folder):
    return sorted(path.stem for path in (folder / "pictures").glob("*.png"))


def test_a_tested_model_is_drawn_and_every_logger_told(trained, tmp_path, monkeypatch):
    sent = []
    online = WandbLogger(save_dir=tmp_path, mode="disabled")
    monkeypatch.setattr(
        "lightning_ecinn.callbacks.loggers.send_pictures",
        lambda logger, pictures, step: sent.extend(pictures.items()),
    )
    drawing = (LatentView(), LatentView("top", "below"), LatentView(target=0), LatentAtlas())
    there = trainer(tmp_path, *drawing, logger=[online])
    there.test(trained, datamodule=PlainBars(), verbose=False)
    names = ["atlas", "atlas-cosines", "view", "view-nearestto0", "view-toptobelow"]
    assert pictures(tmp_path) == [f"latent-{name}" for name in names]
    assert sorted(key for key, _ in sent) == [f"latent/{name}" for name in names]
    for _, (path,) in sent:
        picture = matplotlib.image.imread(path)
        assert np.allclose(picture[[0, -1, 0, -1], [0, 0, -1, -1], :3], 1), "no white background"
        assert np.ptp(picture) > 0.5


def test_fit_draws_once_with_its_means_and_overwrites_nothing(tmp_path):
    fitting = trainer(tmp_path, BuildClassMeans(), LatentAtlas(name="mine"), max_epochs=2)
    module, data = network(), PlainBars(60)
    fitting.fit(module, datamodule=data)
    assert pictures(tmp_path) == ["mine", "mine-cosines"]
    fitting.test(module, datamodule=data, verbose=False)
    assert pictures(tmp_path) == ["mine", "mine-cosines"], "drawn twice in one run"
    fitting.test(module, datamodule=data, verbose=False)
    assert pictures(tmp_path) == ["mine", "mine-2", "mine-cosines", "mine-cosines-2"]


def test_two_classes_have_no_picture_of_cosines(tmp_path):
    small = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0.0, 0.0], "fc_width": 8}
    module = IBINN((1, 8, 8), 2, ["a", "b"], **small)
    module.classifier.class_counts.fill_(3)
    module.classifier.class_means.copy_(module.classifier.mixture.component_means.detach())
    images, labels = bars(30)
    two = DataLoader(TensorDataset(images[labels < 2], labels[labels < 2]), batch_size=10)
    there = trainer(tmp_path, LatentView(images=15), LatentAtlas())
    there.test(module, two, verbose=False)
    assert pictures(tmp_path) == ["latent-atlas", "latent-view"]


def test_what_cannot_be_drawn_is_said_and_ends_no_run(tmp_path):
    there = trainer(tmp_path, LatentView(), LatentAtlas())
    with pytest.warns(UserWarning, match="could not be drawn: No class means") as said:
        there.test(network(), datamodule=PlainBars(), verbose=False)
    for name in ("latent-view", "latent-atlas"):
        assert sum(f"{name} could not be drawn: No" in str(one.message) for one in said) == 1
    cnn = SmallCNN((1, 8, 8), 3, ["top", "middle", "below"], widths=[4, 4])
    for callback in (LatentView(), LatentAtlas()):
        with pytest.warns(UserWarning, match="left out: SmallCNN has no latent space with classes"):
            trainer(tmp_path, callback).test(cnn, datamodule=PlainBars(), verbose=False)
    assert pictures(tmp_path) == []


def test_mistakes_are_refused_before_training(tmp_path):
    cases = (
        (LatentView(source=7), "LatentView: source must be a class from 0 to 2, got 7"),
        (LatentView(target="x"), "LatentView: target must be a class from 0 to 2 or its name"),
        (LatentView(1, "middle"), "LatentView: source and target are both middle"),
    )
    for callback, said in cases:
        with pytest.raises(ValueError, match=said):
            trainer(tmp_path, callback).fit(network(), datamodule=PlainBars())
    with pytest.raises(ValueError, match="images must be a whole number of at least 2, got 1"):
        LatentView(images=1)
    with pytest.raises(ValueError, match="max_pairs must be a whole number of at least 1, got 0"):
        LatentAtlas(max_pairs=0)


def test_images_that_the_trainer_lacks_are_missed_at_the_start(tmp_path):
    data = PlainBars().val_dataloader()
    with pytest.raises(ValueError, match="LatentView needs test images, but the trainer was given"):
        trainer(tmp_path, LatentView()).fit(network(), data, data)
