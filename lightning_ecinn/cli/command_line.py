"""The command line: a LightningCLI with runs in folders, experiments by name, offline W&B."""

from __future__ import annotations

import inspect
import os
import pydoc
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from jsonargparse import Namespace
from pytorch_lightning.cli import (
    ArgsType,
    LightningArgumentParser,
    LightningCLI,
)
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

import lightning_ecinn
from lightning_ecinn import callbacks, datamodules, training
from lightning_ecinn.callbacks import (
    BuildClassMeans,
    CounterfactualWriter,
    MetricsJSON,
    RunCheckpoint,
    make_callbacks,
)
from lightning_ecinn.callbacks.kept_checkpoints import write_whole_files
from lightning_ecinn.callbacks.loggers import log_checkpoint
from lightning_ecinn.callbacks.progress_lines import lines_if_no_terminal
from lightning_ecinn.callbacks.run import CHECKPOINT
from lightning_ecinn.cli.checkpoint_options import (
    find_ckpt_path,
    find_ckpt_paths,
    fit_to_checkpoint,
    fit_to_published,
    keep_trained_with,
)
from lightning_ecinn.cli.experiment_file import ExperimentFile
from lightning_ecinn.cli.farewell import say_farewell
from lightning_ecinn.cli.found import fill_from_checkpoint, fill_from_data
from lightning_ecinn.cli.options import check_options
from lightning_ecinn.cli.parsing import OneLineErrors
from lightning_ecinn.cli.requeued import find_stopped_run
from lightning_ecinn.cli.save_config import SaveConfig
from lightning_ecinn.cli.trainer import ECINNTrainer
from lightning_ecinn.cli.within import EpochsWithin, counts_epochs
from lightning_ecinn.cli.words import PROGRAM, SEVERAL
from lightning_ecinn.commands.unbuilt import UnbuiltModule
from lightning_ecinn.interruption import Interrupted, find_job
from lightning_ecinn.runs import new_run_folder
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.checkpoint_files import CheckpointFiles
from lightning_ecinn.training.shared import DESCRIPTION, DescribedModule

__all__ = ["ECINNCLI"]

PREPARING = ("means", "import_ibinn")
"""Subcommands that make a checkpoint able to explain."""

_REGISTERED = (callbacks, datamodules, training)
"""Short class names in YAML need the classes imported."""


class _Parser(OneLineErrors, LightningArgumentParser):
    """Lightning's parser with errors on one line."""


class ECINNCLI(LightningCLI):
    """LightningCLI with the links, the run folder and the loggers of this project."""

    run_folder: Path
    metrics: MetricsJSON

    def __init__(self, args: ArgsType = None):
        self.files = CheckpointFiles()
        self._stopped: Path | None = None
        self._found: list[str] = []
        self._started = time.monotonic()
        super().__init__(
            pl.LightningModule,
            pl.LightningDataModule,
            save_config_callback=SaveConfig,
            trainer_class=ECINNTrainer,
            save_config_kwargs={"save_to_log_dir": False},
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=0,
            args=args,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's, two that prepare checkpoints, and those that compare, measure and draw."""
        ours = (*PREPARING, "compare", "evaluate", "figures")
        return LightningCLI.subcommands() | {name: {"model", "datamodule"} for name in ours}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that finds the shipped experiments."""
        header = [f"pytorch_lightning=={pl.__version__}"]
        version = lightning_ecinn.__version__
        named = {"dump_header": header, "version": version, "prog": PROGRAM}
        parser = _Parser(**{**named, **kwargs})
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
            "--wandb_checkpoint",
            type=bool,
            default=False,
            help="Upload the best checkpoint to W&B with its metrics; offline nothing is copied.",
        )
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=False,
            help="Run `test` on the best checkpoint when `fit` has finished.",
        )
        parser.add_argument(
            "--minutes",
            type=float | None,
            default=None,
            help="About how long `fit` is to take: trainer.max_epochs is counted to fit.",
        )
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.set_defaults({f"checkpoint.{name}": value for name, value in CHECKPOINT.items()})
        parser.add_lightning_class_args(BuildClassMeans, "class_means")
        parser.add_lightning_class_args(CounterfactualWriter, "counterfactuals")
        for name in DESCRIPTION:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, then refuse what would be ignored: the data decide it."""
        super().parse_arguments(parser, args)
        check_options(self._options)
        parameters = inspect.signature(self._module).parameters
        for name in DESCRIPTION:
            given = self._options.model.get(f"init_args.{name}")
            default = parameters[name].default if name in parameters else None
            if given is not None and given != default:
                parser.error(
                    f"model.init_args.{name} is {given}, but the data decide it: leave it out."
                )

    @property
    def _options(self) -> Namespace:
        """What was given to the subcommand."""
        return self.config[self.config.subcommand]

    @property
    def _module(self) -> type[pl.LightningModule]:
        """The class of the model."""
        return pydoc.locate(self._options.model.class_path)  # type: ignore[return-value]

    def _parse_ckpt_path(self) -> None:
        """Find "last" and "best", and check that a checkpoint and the network fit."""
        command, options, module = self.config.subcommand, self._options, self._module
        if command in SEVERAL:
            options.ckpt_path = find_ckpt_paths(options)
            return
        if command == "fit" and options.ckpt_path is None:
            self._go_on_if_requeued(options)
        find_ckpt_path(options, command == "fit")
        arguments = options.model.get("init_args", Namespace())
        if command == "import_ibinn":
            if not issubclass(module, IBINN):
                raise ValueError(
                    f"import-ibinn needs model.class_path IBINN, got {module.__name__}."
                )
            fit_to_published(arguments, self.files.look_published(options.path))
        elif not issubclass(module, DescribedModule):
            return
        elif options.ckpt_path is not None:
            checkpoint = self.files.look(options.ckpt_path, module.entry)
            config, path = checkpoint.config, options.ckpt_path
            fill_from_checkpoint(options, module, path, checkpoint, command == "fit")
            kind = getattr(module, "kind", None)  # only ordinary networks come in kinds
            fit_to_checkpoint(arguments, path, config, kind, command == "fit")
            if command != "fit":
                keep_trained_with(arguments, checkpoint.settings, module.trained_with)
        elif command != "fit" and arguments.get("init_from") is None:
            raise ValueError(
                f"{command}: there is nothing trained to look at. Give --ckpt_path best, "
                "--ckpt_path last, or the path of a checkpoint."
            )

    def _go_on_if_requeued(self, options: Namespace) -> None:
        if (job := find_job()) is None:
            return
        configuration = self._parser("fit").dump(options, skip_none=False)
        root = options.trainer.default_root_dir
        if found := find_stopped_run(job, configuration, options.experiment, root):
            self._stopped, checkpoint = found
            options.ckpt_path = str(checkpoint)
            rank_zero_info(f"This job was stopped and goes on from {checkpoint}")

    def before_instantiate_classes(self) -> None:
        """Find what is null; give the run its folder, and all that writes files a place in it."""
        options = self._options
        if self.config.subcommand not in SEVERAL:  # build no network but those of checkpoints
            is_fit = self.config.subcommand == "fit"
            self._found = fill_from_data(options, self._module, is_fit)
        if self.config.subcommand in (*PREPARING, "figures"):
            options.trainer.logger = False  # there is nothing to log
        is_first = getattr(rank_zero_only, "rank", 0) == 0
        out = options.out if self.config.subcommand == "figures" else None
        root = out or options.trainer.default_root_dir
        self.run_folder = new_run_folder(options.experiment, root, make=is_first)
        options.trainer.default_root_dir = str(self.run_folder)
        os.environ.setdefault("WANDB_DATA_DIR", str(self.run_folder / "wandb"))
        if options.trainer.logger is False or options.trainer.fast_dev_run or not is_first:
            return
        # Imported where something is logged: Weights & Biases takes a second.
        from lightning_ecinn.cli.run_loggers import prepare_wandb, uses_wandb

        if uses_wandb(options.trainer.logger):
            prepare_wandb(self.run_folder)

    def instantiate_classes(self) -> None:
        """Build everything but a network that is not used: that of a checkpoint is."""
        command, options = self.config.subcommand, self._options
        is_asked = command == "evaluate" or options.get("classifier") is not None
        if command not in SEVERAL and (not is_asked or options.ckpt_path is None):
            super().instantiate_classes()
            return
        model = options.model
        options.model = None
        try:
            super().instantiate_classes()
        finally:
            options.model = model
        self.model = UnbuiltModule(model.get("init_args", Namespace()).as_dict())

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Add loggers where the user chose none, and the callbacks every run has."""
        options = self.config_init[self.subcommand]
        counted = []
        if self.subcommand == "fit" and counts_epochs(options):
            counted = [EpochsWithin(options.minutes, self._options, self._started)]
            options.trainer.max_epochs = 1  # until then
        if options.trainer.logger in (None, True) and not options.trainer.fast_dev_run:
            from lightning_ecinn.cli.run_loggers import make_loggers

            name, project = options.experiment, options.wandb_project
            kwargs["logger"] = make_loggers(self.run_folder, name, project)
        if options.checkpoint.dirpath is None:
            # Not in the configuration: who runs config.yaml again gets a folder of their own.
            options.checkpoint.dirpath = str(self.run_folder / "checkpoints")
        options.trainer.callbacks = [*counted, *self._callbacks(options)]
        self._parser(self.subcommand).callback_keys.clear()  # they are among them
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except TypeError as error:  # Lightning's word for a value of a wrong type
            raise ValueError(f"--trainer: {error}") from None
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, SaveConfig):
                callback.found = self._found
        write_whole_files(trainer, self.files)
        return trainer

    def _callbacks(self, options: Namespace) -> list[pl.Callback]:
        self.metrics = MetricsJSON()
        chosen = options.trainer.callbacks or []
        found = make_callbacks(
            *(chosen if isinstance(chosen, list) else [chosen]),
            class_means=options.class_means,
            counterfactuals=options.counterfactuals,
            metrics=self.metrics,
            checkpoint=options.checkpoint,
        )
        if options.trainer.enable_checkpointing is False:
            found = [callback for callback in found if callback is not options.checkpoint]
        if options.trainer.enable_progress_bar is not False:
            found += lines_if_no_terminal(found)
        return found

    def after_fit(self) -> None:
        """The training is finished: test and upload if asked for."""
        if self._stopped is not None and self.trainer.is_global_zero:
            self._stopped.unlink(missing_ok=True)
        if self._get(self.config_init, "test_after_fit") and not self._options.trainer.fast_dev_run:
            path = getattr(self.trainer.checkpoint_callback, "best_model_path", None) or None
            try:
                self.trainer.test(self.model, self.datamodule, ckpt_path=path)
            except Interrupted as stop:
                stop.checkpoint, stop.unfinished = path, "test"
                raise
        if self._get(self.config_init, "wandb_checkpoint"):
            log_checkpoint(self.trainer, self.metrics.latest)

    def before_predict(self) -> None:
        """Don't keep in memory what goes into a file."""
        if self.config_init["predict"].return_predictions is None:
            self.config_init["predict"].return_predictions = False

    def say_farewell(self) -> None:
        """Say where everything lies."""
        say_farewell(self.run_folder, self.metrics.latest, after_fit=self.subcommand == "fit")
