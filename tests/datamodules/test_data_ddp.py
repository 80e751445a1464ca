"""Two real processes: Lightning keeps the samplers, sets the epoch, every image is seen once."""

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

# isort: off
import lightning_ecinn.torchvision_guard  # noqa: F401  (first: this file is also a script)
# isort: on

import pytest
import pytorch_lightning as pl
import torch

from lightning_ecinn.datamodules import InMemoryDataModule


class Numbered(InMemoryDataModule):
    """37 black images."""

    def __init__(self):
        super().__init__((1, 2, 2), ["even", "odd"], val_size=0, batch_size=4, eval_batch_size=4)

    def load(self, train):
        return torch.zeros(37, 1, 2, 2, dtype=torch.uint8), torch.arange(37) % 2


class Recorder(pl.LightningModule):
    """Writes down the indices that it is shown, per rank and stage."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.shown = Path(folder), []
        self.scale = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch, batch_idx):
        self.shown.append(batch.indices.tolist())
        return self.scale * batch.images.float().mean()

    def test_step(self, batch, batch_idx):
        self.shown.append(batch.indices.tolist())

    def on_train_epoch_end(self):
        self.write(f"epoch{self.current_epoch}")

    def on_test_epoch_end(self):
        self.write("test")

    def write(self, stage):
        (self.folder / f"{stage}-{self.global_rank}.json").write_text(json.dumps(self.shown))
        self.shown = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def run_two_processes(folder):
    settings = {
        "accelerator": "cpu",
        "devices": 2,
        "strategy": "ddp_fork",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
    }
    pl.Trainer(max_epochs=2, **settings).fit(Recorder(folder), datamodule=Numbered())
    pl.Trainer(**settings).test(Recorder(folder), datamodule=Numbered(), verbose=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes(tmp_path):
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

    def shown(stage):
        return [json.loads((tmp_path / f"{stage}-{rank}.json").read_text()) for rank in range(2)]

    assert [list(chain(*batches)) for batches in shown("test")] == [
        list(range(0, 37, 2)),
        list(range(1, 37, 2)),
    ]
    for epoch in ("epoch0", "epoch1"):
        first, second = shown(epoch)
        assert [len(batch) for batch in first + second] == [4] * 8
        assert len(set(chain(*first, *second))) == 32
    assert shown("epoch0") != shown("epoch1")


if __name__ == "__main__":
    run_two_processes(sys.argv[1])
