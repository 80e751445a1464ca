"""Lightning's Trainer with our subcommands, such as `means`, `compare` and `figures`."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytorch_lightning as pl
from pytorch_lightning.cli import SaveConfigCallback

from lightning_ecinn.blackbox import AskedOptions
from lightning_ecinn.commands.asked import explained_by_checkpoint
from lightning_ecinn.commands.compare import CompareSettings, Comparison
from lightning_ecinn.commands.evaluate import EvaluateSettings, evaluate
from lightning_ecinn.commands.figures import FiguresSettings, draw_figures
from lightning_ecinn.commands.import_ibinn import ImportSettings, import_checkpoint
from lightning_ecinn.commands.means import MeansSettings, save_asked, save_with_means
from lightning_ecinn.commands.predict import BlackBoxPrediction
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.checkpoint_files import CheckpointFiles

__all__ = ["ECINNTrainer"]


def _whole_numbers_first() -> None:
    """Let the command line read 1 as a number of batches, not as 1.0, which means all of them.

    Lightning says Optional[Union[int, float]]; where another package said Optional[Union[float,
    int]] before, typing hands out that one, and the parser tries float first.
    """
    annotations = inspect.unwrap(pl.Trainer.__init__).__annotations__
    for name, hint in annotations.items():
        if set(get_args(hint)) == {int, float, type(None)}:
            annotations[name] = int | float | None


_whole_numbers_first()


class ECINNTrainer(pl.Trainer):
    """Trains, and prepares, compares, measures and draws checkpoints."""

    callbacks: list[pl.Callback]

    @property
    def files(self) -> CheckpointFiles:
        """Reads checkpoints: what Lightning reads them with, unless that was chosen by the user."""
        io = self.strategy.checkpoint_io
        return io if isinstance(io, CheckpointFiles) else CheckpointFiles()

    def means(
        self,
        model: IBINN,
        datamodule: pl.LightningDataModule | None = None,
        ckpt_path: str | None = None,
        **options: Any,
    ) -> None:
        """Build the class means of a checkpoint, or of another classifier, from training images.

        Args:
            model: the module.
            datamodule: the training images.
            ckpt_path: the checkpoint.
            **options: see :class:`MeansSettings`.
        """
        settings = MeansSettings(**options)
        if settings.classifier is None:
            save_with_means(self, model, datamodule, ckpt_path, settings)
        else:
            self._save_configuration(model, "means")
            save_asked(self, model, datamodule, ckpt_path, settings, self.files)

    def import_ibinn(
        self,
        path: str,
        model: IBINN,
        datamodule: pl.LightningDataModule | None = None,
        **options: Any,
    ) -> None:
        """Turn a checkpoint of the published IB-INN code into one of this project.

        Args:
            path: the published code's checkpoint.
            model: the module, of the same network.
            datamodule: the training images.
            **options: see :class:`ImportSettings`.
        """
        settings = ImportSettings(**options)
        import_checkpoint(self, path, model, datamodule, settings, self.files)

    def compare(
        self, model: pl.LightningModule, datamodule: pl.LightningDataModule, **options: Any
    ) -> None:
        """Draw the heatmaps of several models side by side and correlate them (Figure 9).

        Args:
            model: not used; the models are those of the checkpoints.
            datamodule: the images.
            **options: see :class:`CompareSettings`.
        """
        settings = CompareSettings(**options)
        comparison = Comparison(settings)
        self._save_configuration(model, "compare")
        if self.is_global_zero:
            comparison.run(self, datamodule)

    def predict(  # type: ignore[override]  # Lightning's has no options of ours
        self,
        model: pl.LightningModule | None = None,
        dataloaders: Any = None,
        datamodule: pl.LightningDataModule | None = None,
        return_predictions: bool | None = None,
        ckpt_path: Any = None,
        weights_only: bool | None = None,
        **options: Any,
    ) -> Any:
        """Write the counterfactuals of a split, or an ordinary network's posteriors.

        Args:
            model: the module.
            dataloaders: batches, in place of a DataModule.
            datamodule: the images.
            return_predictions: whether they are returned, too.
            ckpt_path: the checkpoint.
            weights_only: whether the checkpoint may hold nothing but weights.
            **options: see :class:`AskedOptions`.
        """
        settings = AskedOptions(**options)
        settings.check()
        if settings.classifier is not None:
            assert model is not None
            explainer = explained_by_checkpoint(
                self, model, datamodule, ckpt_path, settings, self.files
            )
            target, alpha = (model.hparams[f"predict_{name}"] for name in ("target", "alpha"))
            model, ckpt_path = BlackBoxPrediction(explainer, target, alpha), None
        return super().predict(
            model, dataloaders, datamodule, return_predictions, ckpt_path, weights_only
        )

    def figures(
        self, model: pl.LightningModule, datamodule: pl.LightningDataModule, **options: Any
    ) -> None:
        """Draw the paper's figures, as far as the checkpoints can give them.

        Args:
            model: not used; the models are those of the checkpoints.
            datamodule: the images.
            **options: see :class:`FiguresSettings`.
        """
        settings = FiguresSettings(**options)
        self._save_configuration(model, "figures")
        if self.is_global_zero:
            draw_figures(self, datamodule, settings)

    def evaluate(
        self,
        model: pl.LightningModule,
        datamodule: pl.LightningDataModule,
        ckpt_path: str | None = None,
        **options: Any,
    ) -> None:
        """Measure counterfactuals over a split, for several steps side by side.

        Args:
            model: the module; its network is used where there is no checkpoint.
            datamodule: the images.
            ckpt_path: the checkpoint.
            **options: see :class:`EvaluateSettings`.
        """
        settings = EvaluateSettings(**options)
        evaluate(self, model, datamodule, ckpt_path, settings, self.files)

    def _save_configuration(self, model: pl.LightningModule, command: str) -> None:
        """As Lightning's own subcommands do when they run something."""
        for callback in self.callbacks:
            if isinstance(callback, SaveConfigCallback):
                callback.setup(self, model, command)
