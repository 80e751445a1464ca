"""A fitted step in checkpoints: whose settings it takes the place of, and whose not."""

import pytest
import torch
from tiny import Data, ibinn, trainer

from lightning_ecinn import IBINN, Explainer
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.training.fitted_step import use_step


@pytest.fixture
def path(tmp_path):
    """A checkpoint with a fitted step."""
    model, fitting = ibinn(truncation=0.9), trainer(tmp_path, max_steps=1)
    fitting.fit(model, Data())
    model.classifier.class_counts.fill_(1)
    use_step(model, (1.25, 0.5))
    fitting.save_checkpoint(tmp_path / "fitted.ckpt")
    return tmp_path / "fitted.ckpt"


def test_whoever_reads_the_checkpoint_uses_it(path):
    assert read_checkpoint(path, "classifier").settings["convincing_step"] == (1.25, 0.5)
    explainer = Explainer.from_checkpoint(path)
    assert (explainer.convincing_step, explainer.truncation) == ((1.25, 0.5), 0.9)
    assert Explainer.from_checkpoint(path, convincing_step=(0.8, 0.5)).convincing_step == (0.8, 0.5)
    assert IBINN.load_from_checkpoint(path).explainer.convincing_step == (1.25, 0.5)


def test_a_configuration_that_began_it_means_it_and_another_one_does_not(path, tmp_path):
    same, other = ibinn(), ibinn(convincing_step=(0.9, 0.4))
    for model in (same, other):
        trainer(tmp_path, limit_val_batches=1).validate(
            model, Data(), ckpt_path=path, verbose=False
        )
    assert same.explainer.convincing_step == (1.25, 0.5)
    assert other.explainer.convincing_step == (0.9, 0.4)
    again = trainer(tmp_path, limit_val_batches=1)
    again.validate(same, Data(), ckpt_path=path, verbose=False)
    again.save_checkpoint(tmp_path / "again.ckpt")
    content = torch.load(tmp_path / "again.ckpt", weights_only=True)
    assert content["fitted_step"] == {"configured": [0.8, 0.5], "fitted": [1.25, 0.5]}


def test_a_training_that_goes_on_begins_with_the_configured_one(path, tmp_path):
    for model in (ibinn(), IBINN.load_from_checkpoint(path)):
        trainer(tmp_path, max_steps=2).fit(model, Data(), ckpt_path=path)
        assert model.explainer.convincing_step == (0.8, 0.5)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "must name a configured and a fitted step, got int"),
        ({"configured": 1, "fitted": 2}, "give two numbers"),
    ],
)
def test_an_entry_that_is_none_is_refused(path, tmp_path, entry, message):
    content = torch.load(path, weights_only=True)
    content["fitted_step"] = entry
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, limit_val_batches=1).validate(
            ibinn(), Data(), ckpt_path=tmp_path / "odd.ckpt"
        )


def test_settings_that_no_step_can_have_are_said_with_their_file(path, tmp_path):
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["truncation"] = 7
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=r"In .*odd.ckpt, truncation is 7; give a number"):
        Explainer.from_checkpoint(tmp_path / "odd.ckpt")
