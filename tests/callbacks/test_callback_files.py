"""Metrics as JSON, counterfactuals as arrays, and the stop at a loss that is no number."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bars import PlainBars, network, trainer

from lightning_ecinn import Explainer
from lightning_ecinn.callbacks import (
    BuildClassMeans,
    CounterfactualWriter,
    MetricsJSON,
    NonFiniteLossError,
    RunCheckpoint,
    StopOnNonFiniteLoss,
)


def test_metrics_json(tmp_path):
    fitting = trainer(tmp_path, MetricsJSON(), max_epochs=2)
    module, data = network(), PlainBars()
    fitting.fit(module, datamodule=data)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert [(line["epoch"], line["step"]) for line in content["epochs"]] == [(0, 5), (1, 10)]
    assert content["latest"]["val/loss"] == content["epochs"][1]["val/loss"]
    assert content["num_parameters"] == sum(p.numel() for p in module.parameters())
    assert content["device"] == "cpu"
    assert content["train_seconds"] >= 0

    fitting.test(module, datamodule=data, verbose=False)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert {"val/loss", "test/loss", "test/bpd"} <= content["latest"].keys()
    assert len(content["epochs"]) == 2


def test_metrics_that_are_no_numbers_are_null(tmp_path):
    class Bad(MetricsJSON):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.callback_metrics["odd"] = torch.tensor(float("inf"))
            super().on_train_epoch_end(trainer, pl_module)

    trainer(tmp_path, Bad()).fit(network(), datamodule=PlainBars())
    content = json.loads(
        (tmp_path / "metrics.json").read_text(), parse_constant=lambda c: pytest.fail(c)
    )
    assert content["epochs"][0]["odd"] is None


def test_the_writer_keeps_order_and_overwrites_nothing(trained, tmp_path):
    data = PlainBars()
    for name in ("counterfactuals.npz", "counterfactuals-2.npz"):
        predicting = trainer(tmp_path, CounterfactualWriter())
        predicting.predict(trained, datamodule=data, return_predictions=False)
        with np.load(tmp_path / name) as arrays:
            images, labels = data.test.tensors
            assert np.array_equal(arrays["inputs"], images)
            assert (arrays["sources"] == labels.numpy()).mean() > 0.8
            shape = (30, 3)
            assert arrays["targets"].shape == arrays["alphas"].shape == shape
            assert arrays["defined"].shape == arrays["posteriors"].shape == shape
            assert arrays["pictures"].shape == (30, 3, 1, 8, 8)
            own = arrays["pictures"][np.arange(30), arrays["sources"]]
            assert np.array_equal(own, arrays["inputs"])
            assert list(arrays["class_names"]) == ["top", "middle", "below"]


@pytest.mark.parametrize("alpha", ["convincing", "certified"])
def test_the_writer_adds_the_certificates(trained, tmp_path, alpha):
    module = network(predict_alpha=alpha, confidence=0.8, truncation=0.9)
    module.classifier = trained.classifier
    predicting = trainer(tmp_path, CounterfactualWriter())
    predicting.predict(module, datamodule=PlainBars(), return_predictions=False)
    with np.load(tmp_path / "counterfactuals.npz") as file:
        arrays = dict(file)
    explainer = Explainer(trained.classifier, truncation=0.9, confidence=0.8)
    assert arrays["holds"].mean() > 0.5
    assert np.array_equal(arrays["holds"], arrays["reasons"] == "")
    for k in range(30):
        posterior = explainer.posterior(torch.from_numpy(arrays["pictures"][k]))
        chosen = posterior[np.arange(3), arrays["targets"][k]]
        assert np.allclose(arrays["picture_posteriors"][k], chosen, atol=1e-4)
        assert np.array_equal(arrays["predicted"][k], posterior.argmax(1))
        log_prob = explainer.log_prob(torch.from_numpy(arrays["pictures"][k]))
        assert np.allclose(arrays["log_probs_after"][k], log_prob, rtol=1e-4)
    quantiles = arrays["quantiles_after"]
    assert quantiles.min() >= 0
    assert quantiles.max() <= 1
    assert len(np.unique(arrays["quantiles_before"])) > 2
    assert set(arrays["precisions"].flat) == {"float32"}
    moved = arrays["targets"] != arrays["sources"][:, None]
    assert (arrays["inverse_evaluations"][~moved] == 0).all()
    if alpha == "certified":
        assert (arrays["picture_posteriors"][moved & arrays["holds"]] >= 0.8).all()
        assert arrays["inverse_evaluations"].max() <= 16
        assert (arrays["forward_evaluations"] == 1 + arrays["inverse_evaluations"]).all()
    else:
        assert (arrays["inverse_evaluations"][moved & arrays["defined"]] == 1).all()
    names = ("tipping_gaps", "third_class", "log_probs_before", "reconstruction_errors")
    assert all(arrays[name].shape == (30, 3) for name in names)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"truncation": 1.5}, "truncation is 1.5"), ({"confidence": 1.0}, "confidence is 1.0")],
)
def test_steps_that_make_no_sense_are_refused_before_training(settings, message):
    with pytest.raises(ValueError, match=message):
        network(**settings)


def test_the_writer_leaves_other_predictions_alone(tmp_path):
    class Other(type(network())):
        def predict_step(self, batch, batch_idx):
            return batch[0].sum()

    module = Other((1, 8, 8), 3, blocks=[1, 1], widths=[4, 4], dropouts=[0.0, 0.0], fc_width=8)
    trainer(tmp_path, CounterfactualWriter()).predict(module, datamodule=PlainBars())
    assert not list(tmp_path.iterdir())


class Poisoned(type(network())):
    """Its loss, or only its gradient, becomes NaN at a step."""

    at, what = 7, "loss"

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.global_step == self.at:
            if self.what == "loss":
                return loss * float("nan")
            loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss


def poisoned(folder, what, every_n_steps=50, at=7):
    module = Poisoned(**network().hparams)
    module.at, module.what = at, what
    checkpoint = RunCheckpoint(
        folder, "best", monitor="val/loss", save_last=True, auto_insert_metric_name=False
    )
    stop = StopOnNonFiniteLoss(every_n_steps)
    fitting = trainer(folder, stop, checkpoint, BuildClassMeans(), max_epochs=4)
    return fitting, module


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("at", [7, 9])  # in the middle, and in the last step of the epoch
def test_it_stops_and_keeps_the_last_good_checkpoint(tmp_path, what, at):
    fitting, module = poisoned(tmp_path, what, at=at)
    with pytest.raises(NonFiniteLossError, match=r"not finite at step 10, epoch 1\. The last good"):
        fitting.fit(module, datamodule=PlainBars())
    for name in ("best", "last"):
        saved = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
        assert saved["global_step"] == 5
        assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_it_is_read_every_few_steps_and_before_any_checkpoint_it_says_so(tmp_path):
    fitting, module = poisoned(tmp_path, "loss", every_n_steps=2, at=2)
    with pytest.raises(NonFiniteLossError, match=r"at step 4, epoch 0\. No checkpoint was saved"):
        fitting.fit(module, datamodule=PlainBars())
    assert not list(tmp_path.glob("*.ckpt"))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        StopOnNonFiniteLoss(0)


def test_a_process_whose_steps_were_skipped_stops_with_the_others():
    """Nobody waits for it: it takes part in every exchange."""

    def reduce(loss_sum, reduce_op):
        assert loss_sum == 0
        return loss_sum + float("nan")  # another process's

    strategy = SimpleNamespace(reduce=reduce)
    settings = {"world_size": 2, "strategy": strategy, "checkpoint_callbacks": []}
    process = SimpleNamespace(**settings, global_step=1, current_epoch=0, ckpt_path=None)
    stop = StopOnNonFiniteLoss(every_n_steps=1)
    stop.on_train_start(process, SimpleNamespace(device="cpu"))
    with pytest.raises(NonFiniteLossError, match="No checkpoint was saved yet"):
        stop.on_train_batch_end(process, None, None, None, 0)


def test_a_finite_training_is_left_alone(tmp_path):
    fitting, module = poisoned(tmp_path, "loss", every_n_steps=1, at=-1)
    fitting.fit(module, datamodule=PlainBars())
    assert fitting.global_step == 20


@pytest.mark.parametrize("num_steps", [1, 2, 4, 5, 10])
def test_the_one_cycle_schedule_takes_any_number_of_steps(tmp_path, num_steps):
    module = network(schedule="onecycle", warmup=0.2)
    fitting = trainer(tmp_path, max_steps=num_steps, max_epochs=-1)
    fitting.fit(module, datamodule=PlainBars())
    assert fitting.global_step == num_steps
    assert all(p.isfinite().all() for p in module.parameters())


def test_the_last_checkpoint_is_of_every_epoch_not_only_of_better_ones(tmp_path):
    fitting, module = poisoned(tmp_path, "loss", at=12)
    fitting.checkpoint_callback.check_monitor_top_k = lambda trainer, current=None: (
        trainer.global_step == 5
    )
    with pytest.raises(NonFiniteLossError, match=r"last\.ckpt"):
        fitting.fit(module, datamodule=PlainBars())
    steps = {
        name: torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["global_step"]
        for name in ("best", "last")
    }
    assert steps == {"best": 5, "last": 10}


def test_predicting_copies_no_checkpoint(tmp_path):
    """Only a fit that is resumed takes the best checkpoint over."""
    checkpoint = RunCheckpoint(tmp_path / "a", "best", monitor="val/loss", save_last=True)
    fitting = trainer(tmp_path / "a", checkpoint, max_epochs=1)
    fitting.fit(network(), datamodule=PlainBars())
    other = RunCheckpoint(tmp_path / "b", "best", monitor="val/loss", save_last=True)
    trainer(tmp_path / "b", other).test(
        network(), datamodule=PlainBars(), ckpt_path=checkpoint.best_model_path, verbose=False
    )
    assert not list(tmp_path.glob("b/**/*.ckpt"))
