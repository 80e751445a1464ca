"""Settings that can't be trained with are noticed at once; whatever they are, checkpoints load."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import IMAGES, Data, ibinn, small_cnn, trainer

from lightning_ecinn import Explainer
from lightning_ecinn.training import IBINN, ClassAutoencoders, InceptionV3

NAN, INF = float("nan"), float("inf")
WRONG = {
    "optimizer": "bogus",
    "schedule": "cosine",
    "lr": [0, -1, NAN, INF, "fast"],
    "momentum": [-0.1, NAN],
    "means_momentum": NAN,
    "mixture_momentum": [INF],
    "weight_decay": NAN,
    "means_lr_factor": INF,
    "gamma": NAN,
    "warmup": [1, NAN],
    "betas": [(0.9, 1.0), (0.9,), 0.9, (NAN, 0.9)],
    "milestones": [[-1], 5],
    "beta": [-1, NAN, "much"],
    "noise": [-1, INF],
    "label_smoothing": [1, NAN],
    "predict_target": ["some", 2, -1],
    "predict_alpha": ["half", NAN],
    "num_classes": [1, 0, 2.5],
    "image_shape": [(8, 8), (1, 8, 0), 8],
    "widths": [[4, 4]],
    "clamp": NAN,
}
CASES = [
    (n, v) for n, values in WRONG.items() for v in (values if type(values) is list else [values])
]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_an_ibinn_refuses_what_it_can_not_train_with(name, value):
    with pytest.raises(ValueError, match=rf"(?s)^.*{name}") as caught:
        ibinn(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("schedule", "multistep"), ("lr", NAN), ("weight_decay", INF), ("num_classes", 1)],
)
@pytest.mark.parametrize("kind", [small_cnn, ClassAutoencoders, InceptionV3])
def test_so_do_the_others(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} is"):
        kind(**{"image_shape": (1, 8, 8), "num_classes": 2, name: value})


def test_beta_may_be_infinite():
    assert ibinn(beta=INF).hparams.beta == INF


@pytest.mark.parametrize("kind", [ibinn, small_cnn])
def test_unknown_settings_are_named(kind):
    with pytest.raises(TypeError, match=r"has no setting extra: help\(.*Settings\) lists"):
        kind(extra=1)


class Mine(IBINN):
    """Has settings of its own."""

    def __init__(self, *args, out=None, extra=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.save_hyperparameters()


class OfOneSize(IBINN):
    """Changes defaults, without IBINN's signature."""

    def __init__(self, image_shape, num_classes, class_names=None, width=4):
        network = {"blocks": [1], "widths": [width], "dropouts": [0.0], "fc_blocks": 0}
        super().__init__(image_shape, num_classes, class_names, **network)


NUMPYS = {
    "lr": lambda: ibinn(lr=np.float64(0.003)),
    "float32": lambda: ibinn(lr=np.float32(0.25)),
    "beta": lambda: ibinn(beta=np.logspace(0, 1, 3)[1]),
    "names": lambda: ibinn(class_names=np.array(["a", "b"])),
    "blocks": lambda: ibinn(blocks=np.array([1]), widths=list(np.array([4]))),
    "shape": lambda: ibinn(image_shape=np.array([1, 8, 8]), num_classes=np.int64(2)),
    "target": lambda: ibinn(predict_target=np.int64(1), predict_alpha=np.float32(1.5)),
    "path": lambda: ibinn(Mine, out=Path("x"), extra={"a": [np.arange(3), (Path("y"),)]}),
    "subclass": lambda: ibinn(Mine, lr=np.float64(0.003), schedule="onecycle"),
    "array": lambda: ibinn(Mine, extra=np.arange(3)),
    "one size": lambda: OfOneSize((1, 8, 8), 2),
    "cnn": lambda: small_cnn(
        lr=np.float64(0.01), widths=np.array([4]), image_shape=np.array([1, 8, 8])
    ),
    "autoencoders": lambda: ClassAutoencoders(np.array([1, 8, 8]), np.int64(2), width=np.int64(2)),
}


class NumpyData(Data):
    """A data module with settings that are no plain values."""

    def __init__(self, root):
        super().__init__()
        self.save_hyperparameters({"root": root, "scale": np.float32(1.5)})


@pytest.mark.parametrize("module", NUMPYS.values(), ids=NUMPYS)
def test_checkpoints_hold_plain_values_and_load(tmp_path, module):
    model, path = module(), tmp_path / "a.ckpt"
    fitting = trainer(tmp_path, max_steps=1)
    fitting.fit(model, NumpyData(tmp_path))
    fitting.save_checkpoint(path)
    content = torch.load(path, weights_only=True)
    assert content["datamodule_hyper_parameters"] == {"root": str(tmp_path), "scale": 1.5}
    again = type(model).load_from_checkpoint(path)
    assert again._model.config == content[model.entry]
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    trainer(tmp_path, max_steps=2).fit(module(), NumpyData(tmp_path), ckpt_path=path)


def test_a_subclasses_own_paths_stay_paths_while_it_trains(tmp_path):
    model = ibinn(Mine, out=Path("x"))
    trainer(tmp_path, max_steps=1).fit(model, Data())
    assert model.hparams.out == Path("x")


def test_what_no_checkpoint_can_hold_is_left_out_and_said(tmp_path):
    model = ibinn(Mine, extra=torch.nn.functional.relu, out=[object()])
    fitting = trainer(tmp_path, max_steps=1)
    fitting.fit(model, Data())
    with pytest.warns(UserWarning, match="not the setting out, extra: give it again"):
        fitting.save_checkpoint(tmp_path / "a.ckpt")
    assert Mine.load_from_checkpoint(tmp_path / "a.ckpt").hparams.extra is None
    with pytest.raises(TypeError, match="the checkpoint of a subclass of IBINN is loaded by that"):
        IBINN(**torch.load(tmp_path / "a.ckpt")["hyper_parameters"], wrong=1)


def test_a_loaded_module_is_in_training_mode_and_an_explainer_is_not(tmp_path):
    model = ibinn(dropouts=[0.5])
    fitting = trainer(tmp_path, max_steps=1)
    fitting.fit(model, Data())
    fitting.save_checkpoint(tmp_path / "a.ckpt")
    loaded = IBINN.load_from_checkpoint(tmp_path / "a.ckpt")
    assert loaded.training
    assert "training mode" in IBINN.__doc__
    assert "eval()" in IBINN.__doc__
    expected = Explainer.from_checkpoint(tmp_path / "a.ckpt").posterior(IMAGES)
    torch.testing.assert_close(loaded.explainer.posterior(IMAGES), expected, rtol=0, atol=1e-6)
