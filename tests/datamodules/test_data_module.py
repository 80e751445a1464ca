"""The base class: splits, laziness, loaders, and one clear error for each possible mistake."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from lightning_ecinn.datamodules import ImageBatch, InMemoryDataModule
from lightning_ecinn.datamodules.batches.splits import stratified_split


class Squares(InMemoryDataModule):
    """90 training images (50, 30, 10 per class), 20 test images; image i is all grey level i."""

    def __init__(self, **settings):
        super().__init__((1, 4, 4), ["a", "b", "c"], **{"val_size": 18, **settings})
        self.loaded = []

    def load(self, train):
        self.loaded.append("train" if train else "test")
        labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 10) if train else torch.arange(20) % 3
        return grey(len(labels)), labels


class Broken(InMemoryDataModule):
    """Returns whatever it was given."""

    def __init__(self, images, labels, val_size=1):
        super().__init__((1, 4, 4), ["a", "b"], val_size=val_size)
        self.arrays = images, labels

    def load(self, train):
        return self.arrays


class Model(pl.LightningModule):
    """Notes which images it is shown."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen = {"train": [], "val": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append(batch)
        return self.scale * batch.images.float().mean()

    def validation_step(self, batch, batch_idx):
        self.seen["val"].append(batch)

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch)

    def predict_step(self, batch, batch_idx):
        return batch.indices

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def grey(n):
    return torch.arange(n).byte().reshape(n, 1, 1, 1).expand(n, 1, 4, 4)


def trainer(**settings):
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


def grey_levels(dataset):
    return set(dataset.images[:, 0, 0, 0].tolist())


def test_description_is_there_before_setup():
    data = Squares()
    assert (data.image_shape, data.num_classes, data.class_names) == ((1, 4, 4), 3, ["a", "b", "c"])
    assert data.loaded == []
    assert "nothing read" in data.describe()


def test_validation_images_are_disjoint_stratified_and_deterministic():
    data = Squares()
    train, val = data.dataset("train"), data.dataset("val")

    assert val.labels.bincount().tolist() == [10, 6, 2]  # a fifth of every class
    assert grey_levels(train) | grey_levels(val) == set(range(90))
    assert not grey_levels(train) & grey_levels(val)
    assert grey_levels(Squares().dataset("val")) == grey_levels(val)
    assert grey_levels(Squares(seed=1).dataset("val")) != grey_levels(val)


@pytest.mark.parametrize("held_out", [0, 1, 7, 89])
def test_stratified_split_is_within_one_image_of_proportion(held_out):
    _, labels = Squares().load(train=True)
    stay, out = stratified_split(labels, held_out, seed=3)

    assert sorted(stay.tolist() + out.tolist()) == list(range(90))
    assert len(out) == held_out
    difference = labels[out].bincount(minlength=3) - torch.tensor([50, 30, 10]) * held_out / 90
    assert difference.abs().max() < 1


def test_fit_never_reads_the_test_images_and_reads_the_others_once():
    data, model = Squares(batch_size=16, eval_batch_size=5), Model()
    trainer(max_epochs=2).fit(model, datamodule=data)
    assert data.loaded == ["train"]
    assert [len(batch.labels) for batch in model.seen["train"]] == [16] * 8  # 72 images, 2 epochs
    assert isinstance(model.seen["train"][0], ImageBatch)

    trainer().test(model, datamodule=data, verbose=False)
    assert data.loaded == ["train", "test"]
    assert torch.cat([batch.indices for batch in model.seen["test"]]).tolist() == list(range(20))


def test_a_resumed_run_sees_the_same_batches(tmp_path):
    def fit(epochs, **resume):
        model, run = Model(), trainer(max_epochs=epochs)
        run.fit(model, datamodule=Squares(batch_size=16, max_shift=1), **resume)
        run.save_checkpoint(tmp_path / "run.ckpt")
        return torch.stack([batch.images for batch in model.seen["train"]])

    whole = fit(3)
    fit(2)
    assert torch.equal(whole[8:], fit(3, ckpt_path=tmp_path / "run.ckpt", weights_only=False))


def test_a_fit_leaves_torchs_generator_to_the_model():
    data = Squares()
    before = torch.get_rng_state()
    list(data.train_dataloader()), list(data.ordered_dataloader("val"))
    assert torch.equal(before, torch.get_rng_state())


def test_overfit_batches_repeats_the_same_whole_batches():
    model = Model()
    trainer(max_epochs=2, overfit_batches=2).fit(model, datamodule=Squares(batch_size=16))
    shown = [batch.indices.tolist() for batch in model.seen["train"]]
    assert len(shown) == 4
    assert shown[:2] == shown[2:]
    assert 10 < len(shown[0]) <= 16


@pytest.mark.parametrize(("split", "count"), [("train", 72), ("val", 18), ("test", 20)])
def test_predict_runs_in_order_over_the_chosen_split(split, count):
    data = Squares(predict_split=split, max_shift=1)
    indices = trainer().predict(Model(), datamodule=data)
    assert torch.cat(indices).tolist() == list(range(count))
    assert ("test" in data.loaded) == (split == "test")


def test_ordered_dataloader_is_unaugmented_and_whole():
    data = Squares(max_shift=3, eval_batch_size=7)
    images = torch.cat([batch.images for batch in data.ordered_dataloader("train")])
    assert torch.equal(images, data.dataset("train").images)


def test_train_images_are_shifted():
    data = Slopes(max_shift=1, batch_size=72)
    images = next(iter(data.train_dataloader())).images
    assert images.dtype == torch.uint8
    rows = {tuple(row) for row in images[:, 0, 0].tolist()}
    assert rows == {(0, 1, 2, 3), (0, 0, 1, 2), (1, 2, 3, 3)}, "edges are repeated"


class Slopes(Squares):
    """Grey level = column."""

    def load(self, train):
        images, labels = super().load(train)
        return torch.arange(4).byte().expand_as(images), labels


def test_half_of_the_train_images_are_flipped_and_no_others():
    data = Slopes(flip=True, batch_size=72)
    left = next(iter(data.train_dataloader())).images[:, 0, 0, 0]
    assert set(left.tolist()) == {0, 3}
    assert 20 < (left == 3).sum() < 52
    for split in ("train", "val", "test"):
        assert all((b.images[..., 0] == 0).all() for b in data.ordered_dataloader(split))


def test_splits_share_the_memory_of_the_loaded_images():
    data = Squares()
    assert data.dataset("train")._pixels is data.dataset("val")._pixels


def test_nobody_knows_the_true_pixels_of_ordinary_images():
    assert Squares().changed_pixels("test", *torch.zeros(3, 5).long()) is None


def test_loaders_follow_the_trainers_ranks():
    indices = []
    for rank in range(5):
        data = Squares(batch_size=4)
        data.trainer = SimpleNamespace(world_size=5, global_rank=rank, overfit_batches=0.0)
        assert data.train_dataloader().sampler.rank == rank
        indices += [i for batch in data.ordered_dataloader("val") for i in batch.indices.tolist()]
    assert sorted(indices) == list(range(18))


def test_no_validation_images_means_no_validation():
    data = Squares(val_size=0)
    assert len(data.dataset("train")) == 90
    assert data.val_dataloader() == []
    trainer(max_epochs=1).fit(Model(), datamodule=data)


def test_describe_names_counts_and_shares():
    data = Squares()
    data.setup("fit")
    assert data.describe() == (
        "Squares: train 72 (classes from 11.1 % for c to 55.6 % for a); "
        "val 18 (classes from 11.1 % for c to 55.6 % for a)"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; give 1 or more"),
        ({"eval_batch_size": -1}, "eval_batch_size is -1"),
        ({"val_size": -1}, "val_size is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"max_shift": 4}, "max_shift is 4.*less than 4"),
        ({"predict_split": "fit"}, "predict_split is 'fit'; choose one of 'train', 'val', 'test'"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        Squares(**settings)


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((28, 28), ["a", "b"], r"image_shape is \(28, 28\); give \(channels"),
        ((1, 0, 4), ["a", "b"], "image_shape"),
        ((1, 4, 4), ["a"], "two or more names"),
        ((1, 4, 4), "ab", "list of two or more names"),
        ((1, 4, 4), ["a", "a"], "a name twice"),
    ],
)
def test_descriptions_that_cannot_work(shape, names, message):
    with pytest.raises(ValueError, match=message):
        InMemoryDataModule(shape, names, val_size=0)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (grey(6).float(), torch.zeros(6).long(), "images of type torch.float32"),
        (grey(6).numpy(), torch.zeros(6).long(), "images of type ndarray"),
        (grey(6), torch.zeros(6).numpy(), "labels of type ndarray"),
        (grey(6), torch.zeros(6) + 0j, "labels of type torch.complex64"),
        (grey(6), torch.full((6,), 0.5), r"no whole numbers \(6 of 6, the first is 0.5\)"),
        (grey(6), torch.tensor([0, 1, torch.nan, 0, 1, torch.inf]), r"\(2 of 6, the first is nan"),
        (grey(6), torch.full((6,), -1.0), "labels from -1 to -1"),
        (grey(6), torch.full((6,), 200).byte(), "labels from 200 to 200"),
        (grey(6), torch.tensor(1), r"6 images and labels of shape \(\)"),
        (
            grey(6)[..., :3],
            torch.zeros(6).long(),
            r"\(6, 1, 4, 3\), but image_shape is \(1, 4, 4\)",
        ),
        (grey(6), torch.zeros(5).long(), r"6 images and labels of shape \(5,\)"),
        (grey(0), torch.zeros(0).long(), "no images"),
        (grey(6), torch.full((6,), 2), "labels from 2 to 2, but there are 2 class names"),
        (grey(6), torch.full((6,), -1), "labels from -1 to -1"),
    ],
)
def test_loaded_data_that_cannot_work(images, labels, message):
    with pytest.raises(ValueError, match=r"Broken.load\(train=True\) returned.*" + message):
        Broken(images, labels).setup("fit")


@pytest.mark.parametrize("val_size", [0, 1])
def test_one_image_of_one_class_is_enough(val_size):
    data = Broken(grey(1 + val_size), torch.zeros(1 + val_size), val_size)
    data.batch_size = 1000
    model, run = Model(), trainer(max_epochs=1)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    run.predict(model, datamodule=data)
    assert [len(model.seen[split]) for split in ("train", "val")] == [1, val_size]
    assert "each class" not in data.describe()


def test_too_many_validation_images_and_unknown_splits():
    with pytest.raises(ValueError, match="val_size is 6, but there are only 6 training images"):
        Broken(grey(6), torch.zeros(6).long(), val_size=6).setup("fit")
    with pytest.raises(ValueError, match="split is 'valid'; choose"):
        Squares().dataset("valid")
    with pytest.raises(NotImplementedError, match="define load"):
        InMemoryDataModule((1, 4, 4), ["a", "b"], val_size=0).setup("fit")
