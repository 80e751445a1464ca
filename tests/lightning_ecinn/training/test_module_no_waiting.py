"""A training step never waits for the device: nothing in it is read back as a number."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_ecinn.callbacks import StepCurves, StopOnNonFiniteLoss
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.training import IBINN


class Data(InMemoryDataModule):
    """Noise in two classes, in batches of 4."""

    def __init__(self):
        super().__init__((1, 8, 8), ["a", "b"], val_size=0, batch_size=4)

    def load(self, train):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (64, 1, 8, 8), generator=generator).byte()
        return images, torch.arange(64) % 2


class Readings(TorchDispatchMode):
    """Counts operations that hand a value of a tensor, or a shape that depends on it, to Python."""

    NAMES = ("_local_scalar_dense", "nonzero", "equal", "unique", "masked_select")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if any(key in name for key in self.NAMES):
            self.found.append(name)
        return function(*args, **kwargs or {})


def readings(steps, tmp_path, **settings):
    network = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0.0, 0.1], "fc_width": 8}
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        gradient_clip_val=8.0,
        callbacks=[StopOnNonFiniteLoss(), StepCurves()],
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        logger=CSVLogger(tmp_path),
        log_every_n_steps=100,
        enable_model_summary=False,
    )
    with Readings() as mode:
        trainer.fit(IBINN((1, 8, 8), 2, **network, **settings), Data())
    assert trainer.global_step == steps
    return mode.found


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["multistep", "onecycle"])
def test_more_steps_read_nothing_more(tmp_path, optimizer, schedule):
    settings = {"optimizer": optimizer, "schedule": schedule}
    few, many = (readings(steps, tmp_path, **settings) for steps in (3, 9))
    assert len(few) == len(many), (few, many)


def test_a_reading_would_be_seen(tmp_path, monkeypatch):
    step = IBINN.training_step

    def reading(self, batch, batch_idx):
        loss = step(self, batch, batch_idx)
        loss.item()
        return loss

    monkeypatch.setattr(IBINN, "training_step", reading)
    assert len(readings(9, tmp_path)) == len(readings(3, tmp_path)) + 6
