"""Batches of anyone's loaders: what would train to nonsense is refused, what is safe converted."""

from types import SimpleNamespace

import pytest
import torch
from tiny import IMAGES, LABELS, Rates, ibinn, loader, said, small_cnn, trainer
from torch.utils.data import DataLoader

from lightning_ecinn.training import ClassAutoencoders
from lightning_ecinn.training.steps import say_images_per_step

FLOATS = IMAGES / 255


def autoencoders():
    return ClassAutoencoders((1, 8, 8), 2, width=2)


MODULES = {"ibinn": ibinn, "small_cnn": small_cnn, "autoencoders": autoencoders}
WRONG_IMAGES = {
    "0 to 255": (IMAGES.float(), r"lie in \[0, 1\].* 0 to 254: divide by 255"),
    "mean 0": (FLOATS - 0.5, r"lie in \[0, 1\].* from -0\.5"),
    "int64": (IMAGES.long(), r"uint8 in 0\.\.255 or float in \[0, 1\], got torch\.int64"),
    "NaN": (FLOATS.clone().fill_(float("nan")), "without NaN"),
    "channels last": (IMAGES.movedim(1, -1), r"\(B, 1, 8, 8\), got \(4, 8, 8, 1\)"),
    "larger": (IMAGES.repeat(1, 1, 2, 2), r"\(B, 1, 8, 8\), got \(4, 1, 16, 16\)"),
}
WRONG_LABELS = {
    "from 1": (LABELS + 1, r"classes from 0 to 1, got 1 to 2: number them from 0"),
    "negative": (LABELS - 1, r"classes from 0 to 1, got -1 to 0"),
    "halves": (LABELS + 0.5, r"whole numbers, the classes 0 to 1, got \[0\.5\]"),
    "NaN": (LABELS * float("nan"), r"whole numbers, the classes 0 to 1, got \[nan\]"),
    "one-hot": (torch.eye(2)[LABELS], r"one class number for each of 4 images, \(4,\), got a ten"),
}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
@pytest.mark.parametrize(("images", "sentence"), WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_other_images_are_refused_before_a_step(tmp_path, module, images, sentence):
    seen = Rates()
    with pytest.raises(ValueError, match=sentence):
        trainer(tmp_path, seen).fit(module(), loader(images))
    assert not seen.seen


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
@pytest.mark.parametrize(("labels", "sentence"), WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_other_labels_are_refused_before_a_step(tmp_path, module, labels, sentence):
    seen = Rates()
    with pytest.raises(ValueError, match=sentence):
        trainer(tmp_path, seen).fit(module(), loader(labels=labels))
    assert not seen.seen


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
@pytest.mark.parametrize("module", [ibinn, small_cnn])
def test_every_stage_looks_at_its_images(tmp_path, module, stage):
    model = module()
    if module is ibinn:
        model.classifier.class_counts.fill_(1)
    with pytest.raises(ValueError, match="divide by 255"):
        getattr(trainer(tmp_path, limit_val_batches=1.0), stage)(model, loader(IMAGES.float()))


@pytest.mark.parametrize("module", [ibinn, small_cnn])
def test_a_wrong_label_in_a_later_batch_is_named(tmp_path, module):
    labels = LABELS.clone()
    labels[17] = 7
    with pytest.raises(ValueError, match="classes from 0 to 1, got 0 to 7"):
        trainer(tmp_path).fit(module(), loader(labels=labels))


@pytest.mark.parametrize(
    "batch", [IMAGES[:4], (IMAGES[:4],), {"image": IMAGES[:4], "label": LABELS[:4]}]
)
def test_batches_of_another_kind_are_refused(tmp_path, batch):
    data = DataLoader([batch], batch_size=None)
    with pytest.raises(ValueError, match=r"must be \(images, labels, \.\.\.\), got a "):
        trainer(tmp_path).fit(small_cnn(), data)


DTYPES = [torch.int32, torch.uint8, torch.bool, torch.float32, torch.float64, torch.int16]


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_labels_of_other_kinds_and_images_in_float64_train_the_same(tmp_path, module):
    results = []
    variants = [(FLOATS, LABELS), (FLOATS.double(), LABELS)]
    for images, labels in variants + [(FLOATS, LABELS.to(dtype)) for dtype in DTYPES]:
        torch.manual_seed(0)
        model = module()
        fitting = trainer(tmp_path, max_steps=2)
        fitting.fit(model, loader(images, labels))
        results.append(fitting.callback_metrics["train/loss"])
    assert torch.stack(results).sub(results[0]).abs().max() < 1e-6


def test_predicting_takes_images_alone_and_asks_for_no_labels(tmp_path):
    for data in (
        loader(labels=LABELS - 1),
        DataLoader(IMAGES, 4),
        DataLoader(torch.utils.data.TensorDataset(IMAGES), 4),
    ):
        found = trainer(tmp_path).predict(small_cnn(), data)
        assert torch.cat(found).shape == (24, 2)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_of_one_image_trains_and_is_evaluated(tmp_path, module, count):
    model, data = module(), loader(IMAGES[:count], LABELS[:count])
    fitting = trainer(tmp_path, limit_val_batches=1.0)
    fitting.fit(model, data, data)
    assert fitting.global_step == -(-count // 4)
    assert fitting.callback_metrics["val/loss"].isfinite()
    assert all(p.isfinite().all() for p in model.parameters())


def test_where_one_image_has_nothing_to_average_one_sentence_says_so(tmp_path):
    images = IMAGES[:5, :, :2, :2]
    module = small_cnn(image_shape=(1, 2, 2), widths=[4, 4])
    with pytest.raises(ValueError, match=r"one image only, .* batch_size of 2 or more"):
        trainer(tmp_path).fit(module, loader(images, LABELS[:5]))


def test_a_step_says_how_many_images_it_sees(tmp_path, caplog):
    caplog.set_level("INFO")
    trainer(tmp_path, max_steps=1).fit(small_cnn(), loader())
    assert "Each step sees 4 images." in said(caplog)
    trainer(tmp_path, max_steps=1, accumulate_grad_batches=3).fit(small_cnn(), loader())
    assert "Each step sees 1 process x 4 images x 3 batches = 12 images." in said(caplog)
    data = DataLoader([(IMAGES[:4], LABELS[:4])], batch_size=None)
    trainer(tmp_path, max_steps=1).fit(small_cnn(), data)
    assert "Each step sees 1 process x 1 batch; how many images a batch has is not" in said(caplog)


def test_the_images_of_all_processes_count(caplog):
    caplog.set_level("INFO")
    five = SimpleNamespace(
        world_size=5,
        accumulate_grad_batches=2,
        current_epoch=0,
        callbacks=[],
        limit_train_batches=1.0,
        fit_loop=SimpleNamespace(setup_data=lambda: None),
        train_dataloader=loader(IMAGES, batch_size=64),
    )
    say_images_per_step(five)
    assert said(caplog) == "Each step sees 5 processes x 64 images x 2 batches = 640 images."
