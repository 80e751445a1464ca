"""Tiny modules, data and trainers for the tests of training."""

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn.training import IBINN, SmallCNN

IMAGES = torch.randint(0, 256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.arange(24) % 2


def ibinn(kind=IBINN, **settings):
    network = {"blocks": [1], "widths": [4], "dropouts": [0.0], "fc_blocks": 0, "lr": 1e-3}
    torch.manual_seed(0)
    return kind(**{"image_shape": (1, 8, 8), "num_classes": 2, **network, **settings})


def small_cnn(**settings):
    torch.manual_seed(0)
    described = {"image_shape": (1, 8, 8), "num_classes": 2, "widths": [4]}
    return SmallCNN(**{**described, "schedule": "onecycle", **settings})


def loader(images=IMAGES, labels=LABELS, batch_size=4, **settings):
    return DataLoader(TensorDataset(images, labels), batch_size, **settings)


class Data(pl.LightningDataModule):
    """Batches whose size can be set."""

    def __init__(self, batch_size=4):
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self):
        return loader(batch_size=self.batch_size)

    def val_dataloader(self):
        return loader(batch_size=self.batch_size)


class Rates(pl.Callback):
    """Notes the learning rates of each step."""

    def __init__(self):
        self.seen = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.seen.append([group["lr"] for group in optimizer.param_groups])


class StopAfter(pl.Callback):
    """Saves and stops after so many steps."""

    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def trainer(folder, *callbacks, **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    some = {"max_epochs": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        callbacks=list(callbacks),
        **{**quiet, **some, **settings},
    )


def said(recorder_or_caplog):
    """All that was logged."""
    return "\n".join(record.getMessage() for record in recorder_or_caplog.records)
