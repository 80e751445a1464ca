"""Lightning's Trainer with the subcommands `means`, `import-ibinn` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import SaveConfigCallback
from pytorch_lightning.utilities import rank_zero_info

from callbacks import BuildClassMeans
from callbacks.model_comparison import ModelComparison
from lightning_ecinn.comparison import FIGURE_9
from lightning_ecinn.importing import import_ibinn
from lightning_ecinn.modules import IBINN

__all__ = ["ECINNTrainer"]


class _BuildNow(pl.Callback):
    """Class means after a validation."""

    def __init__(self, batch_norm: bool):
        self.builder = BuildClassMeans(batch_norm)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build, with the device and the processes of the validation."""
        assert isinstance(pl_module, IBINN)
        self.builder.build(trainer, pl_module)


class ECINNTrainer(pl.Trainer):
    """Trains, and prepares checkpoints for explaining."""

    callbacks: list[pl.Callback]

    def means(
        self,
        model: IBINN,
        datamodule: pl.LightningDataModule | None = None,
        ckpt_path: str | None = None,
        out: str | None = None,
        batch_norm: bool = False,
    ) -> None:
        """Build the class means of a checkpoint, from the training images.

        Args:
            model: the module.
            datamodule: the training images.
            ckpt_path: the checkpoint.
            out: file to write; by default checkpoints/best.ckpt in the run's folder.
            batch_norm: re-estimate the batch-norm statistics before.
        """
        path = self._free(out)
        self._build(model, datamodule, ckpt_path, batch_norm)
        self._save(model, path)

    def import_ibinn(
        self,
        path: str,
        model: IBINN,
        datamodule: pl.LightningDataModule | None = None,
        out: str | None = None,
        means: bool = True,
        batch_norm: bool = False,
    ) -> None:
        """Turn a checkpoint of the published IB-INN code into one of this project.

        Args:
            path: the published code's checkpoint.
            model: the module, of the same network.
            datamodule: the training images.
            out: file to write; by default checkpoints/best.ckpt in the run's folder.
            means: build the class means from the training images.
            batch_norm: re-estimate the batch-norm statistics instead of keeping the file's.
        """
        target = self._free(out)
        imported = import_ibinn(path, clamp=model.classifier.config["clamp"])
        for key in ("image_shape", "num_classes"):
            theirs, ours = imported.config[key], model.classifier.config[key]
            if theirs != ours:
                raise ValueError(
                    f"The network in {path} has {key} {theirs}, but the data's is {ours}: give the "
                    "configuration of the data it was trained on."
                )
        model.classifier.load_state_dict(imported.state_dict())
        if means:
            self._build(model, datamodule, None, batch_norm)
        self._save(model, target)

    def compare(
        self,
        model: pl.LightningModule,
        datamodule: pl.LightningDataModule,
        ckpt: list[str] = [],  # noqa: B006
        names: list[str] = [],  # noqa: B006
        methods: list[str] = list(FIGURE_9),  # noqa: B006
        count: int = 4,
        measure: int = 64,
        split: Literal["train", "val", "test"] = "test",
        seed: int = 0,
        target: int | None = None,
        baselines: Literal["black", "training images"] = "training images",
        num_baselines: int = 10,
    ) -> None:
        """Draw the heatmaps of several models side by side and correlate them (Figure 9).

        Args:
            model: not used; the models are those of the checkpoints.
            datamodule: the images.
            ckpt: checkpoint of a model, of any kind; give it once for each.
            names: name of a model; give it once for each. By default the experiment's.
            methods: the heatmaps, as of the callback HeatmapComparison.
            count: images that are drawn, one picture each.
            measure: images that the correlations are over.
            split: where the images come from.
            seed: which images are drawn.
            target: class asked for where there are more than two; by default the second likeliest.
            baselines: what DeepLiftSHAP and GradSHAP compare with.
            num_baselines: how many training images.
        """
        comparison = ModelComparison(
            ckpt,
            names,
            methods=methods,
            count=count,
            measure=measure,
            split=split,
            seed=seed,
            target=target,
            baselines=baselines,
            num_baselines=num_baselines,
        )
        if not self.is_global_zero:
            return
        for callback in self.callbacks:
            if isinstance(callback, SaveConfigCallback):  # as Lightning's own subcommands do
                callback.setup(self, model, "compare")
        datamodule.prepare_data()
        for stage in ("fit", "test"):
            datamodule.setup(stage)
        self.datamodule = datamodule
        comparison.run(self)
        for logger in self.loggers:
            logger.finalize("success")

    def _build(
        self,
        model: IBINN,
        datamodule: pl.LightningDataModule | None,
        ckpt_path: str | None,
        batch_norm: bool,
    ) -> None:
        if not isinstance(model, IBINN):
            raise ValueError(
                "Class means need a generative classifier, model.class_path IBINN, got "
                f"{type(model).__name__}."
            )
        self.callbacks.append(_BuildNow(batch_norm))
        try:
            self.validate(model, datamodule=datamodule, ckpt_path=ckpt_path)
        finally:
            self.callbacks.pop()

    def _free(self, out: str | None) -> Path:
        path = Path(out or Path(self.default_root_dir) / "checkpoints" / "best.ckpt").expanduser()
        if path.exists():
            raise ValueError(f"--out {path}: this file exists already. Give another name.")
        return path

    def _save(self, model: IBINN, path: Path) -> None:
        if not self.is_global_zero:
            return
        checkpoint: dict[str, Any] = {
            "state_dict": {key: value.cpu() for key, value in model.state_dict().items()},
            "hyper_parameters": dict(model.hparams),
            "pytorch-lightning_version": pl.__version__,
            "epoch": 0,
            "global_step": 0,
        }
        model.on_save_checkpoint(checkpoint)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, path)
        rank_zero_info(f"Wrote {path}")
