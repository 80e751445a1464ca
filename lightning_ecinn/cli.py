"""The command line: a LightningCLI with runs in folders, experiments by name, offline W&B."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import wandb
from jsonargparse import ActionConfigFile, Namespace
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

import callbacks
import datamodules
import experiments
from callbacks import (
    BuildClassMeans,
    CounterfactualWriter,
    MetricsJSON,
    NonFiniteLossError,
    StopOnNonFiniteLoss,
)
from lightning_ecinn.modules import IBINN
from lightning_ecinn.runs import find_checkpoint, forget_run_folder, new_run_folder

__all__ = ["ECINNCLI", "main"]

_USER_ERRORS = (
    ValueError,
    FileNotFoundError,
    NotADirectoryError,
    PermissionError,
    NonFiniteLossError,
)


class ExperimentFile(ActionConfigFile):
    """``--config NAME``: a file in the current folder, else one of the shipped experiments."""

    def __call__(
        self, parser: Any, config: Namespace, value: Any, option_string: str | None = None
    ) -> None:
        """Resolve the name, then read the file."""
        super().__call__(parser, config, _experiment_path(value), option_string)


def _experiment_path(value: Any) -> Any:
    path = Path(str(value)).expanduser()
    shipped = experiments.FOLDER / path
    if path.is_file() or path.is_absolute() or "\n" in str(value):
        return value
    if shipped.is_file():
        return str(shipped)
    names = ", ".join(sorted(file.name for file in experiments.FOLDER.glob("*.yaml")))
    raise TypeError(
        f"--config {value}: there is no such file in {Path.cwd()}, and no experiment of that name "
        f"is shipped; there are {names}"
    )


class ECINNCLI(LightningCLI):
    """LightningCLI with the links, the run folder and the loggers of this project."""

    def __init__(self, args: ArgsType = None):
        super().__init__(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=0,
            trainer_defaults={"use_distributed_sampler": False},
            args=args,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that finds the shipped experiments."""
        parser = LightningArgumentParser(
            **{"dump_header": [f"pytorch_lightning=={pl.__version__}"], **kwargs}
        )
        parser.add_argument(
            "-c",
            "--config",
            action=ExperimentFile,
            help="A YAML file, or the name of a shipped experiment such as quickstart.yaml.",
        )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Our own options, the callbacks every run has, and the links from data to model."""
        parser.add_argument(
            "--experiment",
            type=str,
            default="experiment",
            help="Name of the experiment: runs lie in runs/<experiment>/<time>.",
        )
        parser.add_argument(
            "--wandb_project", type=str, default="lightning_ecinn", help="W&B project."
        )
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=False,
            help="Run `test` on the best checkpoint when `fit` has finished.",
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val/loss",
                "checkpoint.filename": "best",
                "checkpoint.save_last": True,
                "checkpoint.auto_insert_metric_name": False,
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.add_lightning_class_args(BuildClassMeans, "class_means")
        parser.add_lightning_class_args(CounterfactualWriter, "counterfactuals")
        for name in ("image_shape", "num_classes", "class_names"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def _parse_ckpt_path(self) -> None:
        """Find "last" and "best"; take the network's shape from a checkpoint that is evaluated."""
        options = self.config[self.config.subcommand]
        which = options.get("ckpt_path")
        root = options.trainer.default_root_dir
        if which in ("last", "best"):
            options.ckpt_path = str(find_checkpoint(which, options.experiment, root))
            rank_zero_info(f"Using the checkpoint {options.ckpt_path}")
        elif which is not None and not Path(which).expanduser().is_file():
            raise FileNotFoundError(
                f"--ckpt_path {which}: there is no such file. Give the path of a .ckpt file, or "
                '"last" or "best" for the newest of this experiment.'
            )

    def before_instantiate_classes(self) -> None:
        """Give the run its folder, and everything that writes files a place in it."""
        options = self.config[self.subcommand]
        folder = new_run_folder(options.experiment, options.trainer.default_root_dir)
        self.run_folder = folder
        options.trainer.default_root_dir = str(folder)
        if options.checkpoint.dirpath is None:
            options.checkpoint.dirpath = str(folder / "checkpoints")
        os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Add loggers where the user chose none, and the callbacks every run has."""
        options = self.config_init[self.subcommand]
        if options.trainer.logger in (None, True) and not options.trainer.fast_dev_run:
            kwargs["logger"] = self._loggers(options)
        extra = [StopOnNonFiniteLoss(), MetricsJSON()]
        options.trainer.callbacks = [
            self._get(self.config_init, "class_means"),
            *extra,
            *(options.trainer.callbacks or []),
        ]
        keys = self._parser(self.subcommand).callback_keys
        keys[:] = [key for key in keys if key != "class_means"]
        return super().instantiate_trainer(**kwargs)

    def _loggers(self, options: Namespace) -> list[Any]:
        folder = str(self.run_folder)
        csv = CSVLogger(folder, name="", version="")
        _prepare_wandb(self.run_folder)
        name = f"{options.experiment}/{self.run_folder.name}"
        return [csv, WandbLogger(name=name, save_dir=folder, project=options.wandb_project)]

    def after_fit(self) -> None:
        """Test if asked for, then say where everything lies."""
        if self._get(self.config_init, "test_after_fit") and not self.trainer.fast_dev_run:
            path = self.trainer.checkpoint_callback.best_model_path or None
            self.trainer.test(self.model, self.datamodule, ckpt_path=path)
        self._farewell()

    def after_test(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def after_predict(self) -> None:
        """Say where everything lies."""
        self._farewell()

    @rank_zero_only
    def _farewell(self) -> None:
        lines = [f"This run lies in {self.run_folder}"]
        lines += [f"  {path}" for path in sorted(self.run_folder.glob("pictures/*.png"))]
        lines += [f"  {path}" for path in sorted(self.run_folder.glob("checkpoints/*.ckpt"))]
        print("\n".join(lines))


def _prepare_wandb(folder: Path) -> None:
    """Without a login W&B asks on a terminal and fails in a script: go offline instead."""
    if "WANDB_MODE" in os.environ or _is_logged_in():
        return
    os.environ["WANDB_MODE"] = "offline"
    wandb.setup(wandb.Settings(mode="offline"))
    rank_zero_info(
        "Weights & Biases: no login found, so this run is logged offline. To upload it later: "
        f"wandb login && wandb sync {folder}/wandb/offline-run-*"
    )


def _is_logged_in() -> bool:
    logger = logging.getLogger("wandb")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return bool(wandb.login(prompt=False))
    except Exception:  # whatever the reason, there is no usable login
        return False
    finally:
        logger.setLevel(level)


def main(args: ArgsType = None) -> ECINNCLI | None:
    """Run the command line; a user's mistake ends it with one sentence.

    Args:
        args: like ``sys.argv[1:]``, which is the default.
    """
    forget_unless_launched()
    _quiet()
    try:
        return ECINNCLI(args)
    except _USER_ERRORS as error:
        if os.environ.get("LIGHTNING_ECINN_DEBUG"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


def forget_unless_launched() -> None:
    """Only a process that a launcher started belongs to the run of the process before it."""
    if "LOCAL_RANK" not in os.environ:
        forget_run_folder()


def _quiet() -> None:
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")


_REGISTERED = (callbacks, datamodules, IBINN)  # short class names in YAML need them imported
