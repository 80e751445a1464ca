"""A tiny data module of plain PyTorch parts, and a tiny network."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn.training import IBINN


def bars(num_images, seed=0, as_float=False):
    """Images (N, 1, 8, 8) of three classes: a white bar at the top, in the middle, below."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_images) % 3
    images = rng.integers(0, 60, (num_images, 1, 8, 8))
    for row in range(2):
        images[np.arange(num_images), 0, 1 + 2 * labels + row, 1:7] = 230
    images = torch.from_numpy(images).to(torch.uint8)
    return (images / 255 if as_float else images), torch.from_numpy(labels)


class PlainBars(pl.LightningDataModule):
    """What a user writes who knows nothing of this project."""

    def __init__(self, num_images=37, as_float=False, batch_size=8):
        super().__init__()
        self.train = TensorDataset(*bars(num_images, as_float=as_float))
        self.test = TensorDataset(*bars(30, seed=1, as_float=as_float))
        self.batch_size = batch_size

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.test, batch_size=self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test, batch_size=self.batch_size)

    def predict_dataloader(self):
        return DataLoader(self.test, batch_size=self.batch_size)


def network(**settings):
    """A tiny IB-INN that learns the bars in seconds."""
    return IBINN(
        (1, 8, 8),
        3,
        ["top", "middle", "below"],
        **{
            "blocks": [1, 1],
            "widths": [4, 4],
            "dropouts": [0.0, 0.0],
            "fc_width": 8,
            "init_scale": 1.0,
            "optimizer": "adamw",
            "lr": 0.01,
            "beta": 8.0,
            **settings,
        },
    )


def trainer(folder, *callbacks, **settings):
    """A silent trainer on one CPU."""
    return pl.Trainer(
        **{
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": 1,
            "default_root_dir": folder,
            "callbacks": list(callbacks),
            "logger": False,
            "enable_checkpointing": any(
                isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks
            ),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **settings,
        }
    )
