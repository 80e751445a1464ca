"""The command line: a LightningCLI with runs in folders, experiments by name, offline W&B."""

from __future__ import annotations

import inspect
import json
import logging
import os
import pydoc
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import wandb
import yaml
from jsonargparse import Namespace
from pytorch_lightning.cli import (
    ArgsType,
    LightningArgumentParser,
    LightningCLI,
    SaveConfigCallback,
)
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from lightning_ecinn import callbacks, datamodules, shipped
from lightning_ecinn.allocator import keep_freed_memory
from lightning_ecinn.callbacks import (
    BuildClassMeans,
    CounterfactualWriter,
    MetricsJSON,
    NonFiniteLossError,
    PosteriorWriter,
    RunCheckpoint,
    StopOnNonFiniteLoss,
)
from lightning_ecinn.cli.parsing import ExperimentFile, OneLineErrors, is_debugging, one_line
from lightning_ecinn.cli.trainer import ECINNTrainer
from lightning_ecinn.models.checkpoints import checkpoint_config
from lightning_ecinn.models.published import import_ibinn
from lightning_ecinn.runs import (
    CONFIG,
    discard_unused_run_folder,
    find_checkpoint,
    forget_run_folder,
    new_run_folder,
)
from lightning_ecinn.training import IBINN, ClassAutoencoders, InceptionV3, SmallCNN

__all__ = ["ECINNCLI", "main"]

LINKED = ("image_shape", "num_classes", "class_names")
"""What the model takes from the data."""

PREPARING = ("means", "import_ibinn")
"""Subcommands that make a checkpoint able to explain."""

HEADLINES = ("accuracy", "bpd", "loss", "validity", "heatmap_mass")
"""The metrics that are named when a run has finished."""

_USER_ERRORS = (
    ValueError,
    FileNotFoundError,
    NotADirectoryError,
    PermissionError,
    MisconfigurationException,
    NonFiniteLossError,
)


class _Parser(OneLineErrors, LightningArgumentParser):
    """Lightning's parser with errors on one line."""


class _SaveConfig(SaveConfigCallback):
    """The whole configuration, into the run's folder and to W&B; the data, onto the screen."""

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write config.yaml, which was made empty to claim the folder."""
        text = self.parser.dump(self.config, skip_none=False)
        (Path(trainer.default_root_dir) / CONFIG).write_text(text)
        groups = {key: value for key, value in yaml.safe_load(text).items() if key != "model"}
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # the model logs its own
                logger.log_hyperparams(groups)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what data there are."""
        describe = getattr(getattr(trainer, "datamodule", None), "describe", None)
        if describe is not None:
            rank_zero_info(describe())


class ECINNCLI(LightningCLI):
    """LightningCLI with the links, the run folder and the loggers of this project."""

    run_folder: Path
    metrics: MetricsJSON

    def __init__(self, args: ArgsType = None):
        super().__init__(
            pl.LightningModule,
            pl.LightningDataModule,
            save_config_callback=_SaveConfig,
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
        """Lightning's, two that prepare checkpoints, one that compares and one that measures."""
        ours = (*PREPARING, "compare", "evaluate")
        return LightningCLI.subcommands() | {name: {"model", "datamodule"} for name in ours}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that finds the shipped experiments."""
        parser = _Parser(**{"dump_header": [f"pytorch_lightning=={pl.__version__}"], **kwargs})
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
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val/loss",
                "checkpoint.filename": "best",
                "checkpoint.save_last": True,
                "checkpoint.auto_insert_metric_name": False,
            }
        )
        parser.add_lightning_class_args(BuildClassMeans, "class_means")
        parser.add_lightning_class_args(CounterfactualWriter, "counterfactuals")
        for name in LINKED:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, then refuse what would be ignored: the data decide it."""
        super().parse_arguments(parser, args)
        model = self._options.model
        parameters = inspect.signature(pydoc.locate(model.class_path)).parameters  # type: ignore
        for name in LINKED:
            given = model.get(f"init_args.{name}")
            default = parameters[name].default if name in parameters else None
            if given is not None and given != default:
                parser.error(
                    f"model.init_args.{name} is {given}, but the data decide it: leave it out."
                )

    @property
    def _options(self) -> Namespace:
        """What was given to the subcommand."""
        return self.config[self.config.subcommand]

    def _parse_ckpt_path(self) -> None:
        """Find "last" and "best", and check that a checkpoint and the network fit."""
        if self.config.subcommand == "compare":  # has checkpoints of its own
            return
        options, is_fit = self._options, self.config.subcommand == "fit"
        which, checkpoints = options.get("ckpt_path"), options.checkpoint.dirpath
        if which in ("last", "best"):
            root = options.trainer.default_root_dir
            path = find_checkpoint(which, options.experiment, root, checkpoints)
            options.ckpt_path = str(path)
            rank_zero_info(f"Using the checkpoint {path}")
        elif which is not None and (path := shipped.resolve(which)).is_file():
            options.ckpt_path = str(path)
        elif which is not None:
            raise FileNotFoundError(
                f"--ckpt_path {which}: there is no such file. Give the path of a .ckpt file, or "
                '"last" or "best" for the newest of this experiment.'
            )
        arguments, name = options.model.init_args, options.model.class_path.split(".")[-1]
        if self.config.subcommand == "import_ibinn":
            _fit_to_published(arguments, options.path, name)
        elif name not in _MODULES:
            return
        elif which is not None:
            _fit_to_checkpoint(arguments, options.ckpt_path, _MODULES[name], must_match=is_fit)
        elif not is_fit and arguments.get("init_from") is None:
            raise ValueError(
                f"{self.config.subcommand}: there is nothing trained to look at. Give --ckpt_path "
                "best, --ckpt_path last, or the path of a checkpoint."
            )

    def before_instantiate_classes(self) -> None:
        """Give the run its folder, and everything that writes files a place in it."""
        options = self._options
        if self.config.subcommand in PREPARING:
            options.trainer.logger = False  # there is nothing to log
        is_first = getattr(rank_zero_only, "rank", 0) == 0
        root = options.trainer.default_root_dir
        self.run_folder = new_run_folder(options.experiment, root, make=is_first)
        options.trainer.default_root_dir = str(self.run_folder)
        os.environ.setdefault("WANDB_DATA_DIR", str(self.run_folder / "wandb"))
        if not options.trainer.fast_dev_run and is_first and _uses_wandb(options.trainer.logger):
            _prepare_wandb(self.run_folder)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Add loggers where the user chose none, and the callbacks every run has."""
        options = self.config_init[self.subcommand]
        if options.trainer.logger in (None, True) and not options.trainer.fast_dev_run:
            kwargs["logger"] = self._loggers(options)
        if options.checkpoint.dirpath is None:
            # Not in the configuration: who runs config.yaml again gets a folder of their own.
            options.checkpoint.dirpath = str(self.run_folder / "checkpoints")
        self.metrics = MetricsJSON()
        chosen = options.trainer.callbacks or []
        options.trainer.callbacks = [
            options.class_means,  # before the pictures, which need the means
            StopOnNonFiniteLoss(),
            PosteriorWriter(),
            self.metrics,
            *(chosen if isinstance(chosen, list) else [chosen]),
        ]
        without = {"class_means"}
        if options.trainer.enable_checkpointing is False:
            without.add("checkpoint")
        keys = self._parser(self.subcommand).callback_keys
        keys[:] = [key for key in keys if key not in without]
        return super().instantiate_trainer(**kwargs)

    def _loggers(self, options: Namespace) -> list[Any]:
        folder = self.run_folder
        csv = CSVLogger(folder, name="", version="")
        name = f"{options.experiment}/{folder.name}"
        online = WandbLogger(name=name, save_dir=folder, project=options.wandb_project)
        online._wandb_init.pop("anonymous", None)  # W&B warns of this option, which does nothing
        return [csv, online]

    def after_fit(self) -> None:
        """Test if asked for, then say where everything lies."""
        if self._get(self.config_init, "test_after_fit") and not self._options.trainer.fast_dev_run:
            path = getattr(self.trainer.checkpoint_callback, "best_model_path", None) or None
            self.trainer.test(self.model, self.datamodule, ckpt_path=path)
        self._farewell()

    def after_validate(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def after_test(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def after_means(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def after_import_ibinn(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def after_compare(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def after_evaluate(self) -> None:
        """Say where everything lies."""
        self._farewell()

    def before_predict(self) -> None:
        """Don't keep in memory what goes into a file."""
        if self.config_init["predict"].return_predictions is None:
            self.config_init["predict"].return_predictions = False

    def after_predict(self) -> None:
        """Say where everything lies."""
        self._farewell()

    @rank_zero_only
    def _farewell(self) -> None:
        folder = self.run_folder
        lines = []
        for stage, remark in (("val", "after the last epoch"), ("test", "")):
            keys = [f"{stage}/{name}" for name in HEADLINES]
            found = {key: self.metrics.latest[key] for key in keys if key in self.metrics.latest}
            if found:
                remark = f" ({remark})" if remark and self.subcommand == "fit" else ""
                lines.append(", ".join(f"{k} {v:.4g}" for k, v in found.items()) + remark)
        lines.append(f"This run lies in {folder}")
        written = [*folder.glob("pictures/*.png"), *folder.glob("checkpoints/*.ckpt")]
        lines += [f"  {path.relative_to(folder)}" for path in sorted(written)]
        print("\n".join(lines))


def _fit_to_checkpoint(
    arguments: Namespace, path: str, module: type[pl.LightningModule], must_match: bool
) -> None:
    """Take the network's shape from a checkpoint, or refuse to resume another network."""
    kind = getattr(module, "kind", None)  # only ordinary networks come in kinds
    entry = "classifier" if kind is None else "network"
    network = checkpoint_config(path, "autoencoders" if module is ClassAutoencoders else entry)
    network = {key: value for key, value in network.items() if key not in LINKED}
    if (theirs := network.pop("kind", None)) != kind:
        raise ValueError(
            f"--ckpt_path: the network in {path} is another one: kind {theirs} (here {kind})."
        )
    different = [key for key, value in network.items() if arguments[key] != value]
    if must_match and different:
        details = ", ".join(f"{key} {network[key]} (here {arguments[key]})" for key in different)
        raise ValueError(f"--ckpt_path: the network in {path} is another one: {details}.")
    for key, value in network.items():
        arguments[key] = value
    for key in {"init_from", "weights"} & set(arguments.keys()):  # the checkpoint has its own
        arguments[key] = None


def _fit_to_published(arguments: Namespace, path: str, name: str) -> None:
    """Take what a published checkpoint tells of the network; dropouts are the configuration's."""
    if name != IBINN.__name__:
        raise ValueError(f"import-ibinn needs model.class_path IBINN, got {name}.")
    network = import_ibinn(path, clamp=arguments.clamp).config
    for key in ("blocks", "widths", "fc_blocks", "fc_width", "haar"):
        arguments[key] = network[key]
    if len(arguments.dropouts) != len(network["blocks"]):
        arguments.dropouts = network["dropouts"]
    arguments.init_from = None


def _uses_wandb(logger: Any) -> bool:
    if logger in (None, True, False):
        return logger is not False
    chosen = logger if isinstance(logger, list) else [logger]
    return any(str(one.get("class_path", "")).endswith("WandbLogger") for one in chosen)


def _prepare_wandb(folder: Path) -> None:
    """Without a login W&B asks on a terminal and fails in a script: go offline instead."""
    if "WANDB_MODE" in os.environ or wandb.run is not None or _is_logged_in():
        return
    os.environ["WANDB_MODE"] = "offline"
    os.environ.setdefault("WANDB_SILENT", "true")  # we say it ourselves
    runs = f"{shlex.quote(str(folder / 'wandb'))}/offline-run-*"
    rank_zero_info(
        "Weights & Biases: not logged in (or no connection), so this run is logged offline. "
        f"To upload it later: wandb login && wandb sync {runs}"
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
        wandb.teardown()  # or it would not notice what the environment says from now on


def main(args: ArgsType = None) -> ECINNCLI | None:
    """Run the command line; a user's mistake ends it with one sentence.

    Args:
        args: like ``sys.argv[1:]``, which is the default.
    """
    keep_freed_memory()
    is_launched = "LOCAL_RANK" in os.environ  # by the first process of a run
    with _same_environment_afterwards(), _without_noise():
        if not is_launched:
            forget_run_folder()
        try:
            return ECINNCLI(_as_parsed(args))
        except _USER_ERRORS as error:
            if is_debugging():
                raise
            print(f"error: {one_line(str(error))}", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            if not is_launched:
                discard_unused_run_folder()


def _as_parsed(args: ArgsType) -> ArgsType:
    """``import-ibinn model.pt --no-means`` and lists such as ``--ckpt A B`` as the parser does."""
    words = sys.argv[1:] if args is None else args
    if not isinstance(words, list) or not words:
        return args
    if words[0] in _LISTS:
        return _with_lists(words, _LISTS[words[0]])
    if words[0] not in ("import-ibinn", "import_ibinn"):
        return args
    rest = ["--means=false" if word == "--no-means" else word for word in words[1:]]
    if rest and not rest[0].startswith("-"):
        rest[0] = f"--path={rest[0]}"
    return ["import_ibinn", *rest]


_LISTS = {"compare": ("--ckpt", "--names", "--methods"), "evaluate": ("--steps",)}
"""Options of a subcommand that take several values."""


def _with_lists(words: list[str], options: Sequence[str]) -> list[str]:
    """``--ckpt A B --ckpt=C`` as ``--ckpt=["A", "B", "C"]``; what is a list already stays one."""
    others: list[str] = []
    lists: dict[str, list[str]] = {}
    option = ""
    for word in words:
        name, is_joined, value = word.partition("=")
        if name in options:
            option, word = name, value
            if not is_joined:
                continue
        elif word.startswith("-"):
            option = ""
        if not option:
            others.append(word)
        elif word.startswith("["):
            others.append(f"{option}={word}")
        else:
            lists.setdefault(option, []).append(word)
    return [*others, *(f"{name}={json.dumps(values)}" for name, values in lists.items())]


@contextmanager
def _same_environment_afterwards() -> Iterator[None]:
    """What a run sets (seed, W&B, ranks, its folder) must not reach the next one."""
    before, had_run, exit_code = dict(os.environ), wandb.run is not None, 1
    try:
        yield
        exit_code = 0
    finally:
        if not had_run:
            if wandb.run is not None:
                wandb.finish(exit_code)
            wandb.teardown()  # the next run reads its own environment
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


_IRRELEVANT_WARNINGS = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*LightningCLI's args parameter is intended to run.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
)
_IRRELEVANT_NOTES = ("💡 Tip", "Loading `train_dataloader` to estimate")


@contextmanager
def _without_noise() -> Iterator[None]:
    """Hide notes of libraries that don't concern the user; show warnings as one sentence."""
    notes = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    with warnings.catch_warnings():
        for message in _IRRELEVANT_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        if not is_debugging():
            warnings.showwarning = _show_warning
        notes.addFilter(_is_relevant)
        try:
            yield
        finally:
            notes.removeFilter(_is_relevant)


def _is_relevant(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_IRRELEVANT_NOTES)


def _show_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


_MODULES = {module.__name__: module for module in (IBINN, SmallCNN, InceptionV3, ClassAutoencoders)}
_REGISTERED = (callbacks, datamodules, _MODULES)  # short class names in YAML need them imported
