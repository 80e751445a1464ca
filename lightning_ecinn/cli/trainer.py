"""Lightning's Trainer with the subcommands `means`, `import-ibinn`, `compare` and `evaluate`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.cli import SaveConfigCallback
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks import BuildClassMeans
from lightning_ecinn.commands.compare import ModelComparison
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation, EvaluationData
from lightning_ecinn.commands.evaluation_report import EvaluationReport
from lightning_ecinn.comparison import FIGURE_9
from lightning_ecinn.datamodules.checks import check_at_least
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.evaluation import Judges, check_steps
from lightning_ecinn.models.autoencoders import load_autoencoders
from lightning_ecinn.models.checkpoints import load_classifier, load_network, read_weights
from lightning_ecinn.models.published import import_ibinn
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.shared import check_same_images

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


class _BuildNow(pl.Callback):
    """Class means after a validation."""

    def __init__(self, builder: BuildClassMeans):
        self.builder = builder

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

    def evaluate(
        self,
        model: IBINN,
        datamodule: pl.LightningDataModule,
        ckpt_path: str | None = None,
        steps: list[float | str] = ["tipping", "convincing", "star", "certified"],  # noqa: B006
        targets: str = "random",
        images: str | None = None,
        split: Literal["train", "val", "test"] = "test",
        count: int | None = None,
        oracle: str | None = None,
        autoencoders: str | None = None,
        step: tuple[float, float] | None = None,
        truncation: float | None = None,
        confidence: float | None = None,
        seed: int = 0,
        bootstrap: int = 1000,
        deletion: int = 64,
        batch_size: int = 100,
    ) -> None:
        """Measure counterfactuals over a split, for several steps side by side.

        Args:
            model: the module; its weights are the checkpoint's.
            datamodule: the images.
            ckpt_path: the checkpoint.
            steps: tipping, convincing, star, certified, or step lengths.
            targets: random, for one class other than the label for each image; all, for every
                class; or a file: .npz with target (PATH.npz:PREFIX for PREFIX/target) for every
                image in order, or .csv with the columns index and target.
            images: .npz file with images (N, H, W) or (N, H, W, C) uint8 and labels, in place of
                the split.
            split: where the images come from.
            count: only the first so many images.
            oracle: checkpoint of an ordinary network that judges the pictures.
            autoencoders: file of autoencoders, for IM1 and IM2: a checkpoint or PATH.npz:PREFIX.
            step: offset and slope of the convincing step; by default the checkpoint's.
            truncation: of the direction; by default the checkpoint's.
            confidence: of the certified step; by default the checkpoint's.
            seed: of random targets and intervals.
            bootstrap: samples of the 95 % intervals.
            deletion: images of the deletion and insertion curves; 0 leaves them out.
            batch_size: counterfactuals at once.
        """
        checked = check_steps(steps)
        check_at_least(1, bootstrap=bootstrap, batch_size=batch_size)
        check_at_least(0, seed=seed, deletion=deletion)
        if count is not None:
            check_at_least(1, count=count)
        explainer = _explainer(
            model, ckpt_path, {"step": step, "truncation": truncation, "confidence": confidence}
        )
        judges, notes = _judges(explainer, oracle, autoencoders)
        settings = {
            "ckpt_path": ckpt_path,
            "data": type(datamodule).__name__,
            "images": images,
            "split": None if images else split,
            "count": count,
            "targets": targets,
            "oracle": oracle,
            "autoencoders": autoencoders,
            "steps": list(steps),
            "step": list(explainer.step),
            "truncation": explainer.truncation,
            "confidence": explainer.confidence,
            "precision": str(self.precision),
            "seed": seed,
            "bootstrap": bootstrap,
            "deletion": deletion,
            "batch_size": batch_size,
        }
        data = EvaluationData(
            datamodule,
            split,
            images=images,
            targets=targets,
            count=count,
            seed=seed,
            batch_size=batch_size,
        )
        report = EvaluationReport(
            settings, notes, bootstrap=bootstrap, deletion=deletion, seed=seed
        )
        module = CounterfactualEvaluation(explainer, checked, judges)
        callbacks = self.callbacks
        self.callbacks = [c for c in callbacks if not isinstance(c, BasePredictionWriter)]
        self.callbacks.append(report)
        try:
            self.predict(module, datamodule=data, return_predictions=False)
        finally:
            self.callbacks = callbacks

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
        chosen = [c.significance for c in self.callbacks if isinstance(c, BuildClassMeans)]
        builder = BuildClassMeans(batch_norm, chosen[0] if chosen else None)
        self.callbacks.append(_BuildNow(builder))
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


def _explainer(model: IBINN, ckpt_path: str | None, chosen: dict[str, Any]) -> Explainer:
    """Explains with the weights and, where nothing else is chosen, the settings of a checkpoint."""
    if not isinstance(model, IBINN):
        raise ValueError(
            "evaluate needs a generative classifier, model.class_path IBINN, got "
            f"{type(model).__name__}."
        )
    settings, classifier = dict(model.hparams), model.classifier
    if ckpt_path is not None:
        classifier = load_classifier(ckpt_path)
        check_same_images(classifier.config, model.classifier.config)
        settings |= _stored_settings(ckpt_path)
    if not classifier.class_counts.any():
        raise ValueError(
            f"{ckpt_path or 'The network'} has no class means, so there are no counterfactuals: "
            "build them with `means`."
        )
    settings |= {name: value for name, value in chosen.items() if value is not None}
    for name in chosen:
        ours, theirs = _plain(model.hparams[name]), _plain(settings[name])
        if chosen[name] is None and ours != theirs:
            rank_zero_info(
                f"{name} is {theirs} as in the checkpoint, not {ours} as in the configuration: "
                f"--{name} chooses."
            )
    return Explainer(
        classifier,
        step=tuple(settings["step"]),
        truncation=settings["truncation"],
        confidence=settings["confidence"],
    )


def _stored_settings(ckpt_path: str) -> dict[str, Any]:
    """What the module of a checkpoint was made with, as far as the file says."""
    checkpoint = read_weights(
        ckpt_path, kind="a checkpoint", remedy="give the path of a .ckpt file", entries=()
    )
    return dict(checkpoint.get("hyper_parameters", {}))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _judges(
    explainer: Explainer, oracle: str | None, autoencoders: str | None
) -> tuple[Judges, list[str]]:
    """The other models that are given, and a sentence about each one that is not."""
    notes = []
    network = None if oracle is None else load_network(oracle)
    encoders = None if autoencoders is None else load_autoencoders(autoencoders)
    for option, path, model in (
        ("oracle", oracle, network),
        ("autoencoders", autoencoders, encoders),
    ):
        if model is not None and model.image_shape != explainer.image_shape:
            raise ValueError(
                f"--{option} {path} is for images {model.image_shape}, but the classifier's are "
                f"{explainer.image_shape}: give one that was trained on the same images."
            )
    if encoders is not None and encoders.num_classes != explainer.num_classes:
        raise ValueError(
            f"--autoencoders {autoencoders} knows {encoders.num_classes} classes, but the "
            f"classifier has {explainer.num_classes}: give those of the same classes."
        )
    if network is None:
        notes.append(
            "Without --oracle CKPT there is no FID, LVS or share on which an oracle sees q: "
            "oracle_mnist.yaml and oracle_fake_mnist.yaml train one."
        )
    if encoders is None:
        notes.append(
            "Without --autoencoders FILE there is no IM1 or IM2: autoencoders_mnist.yaml and "
            "autoencoders_fake_mnist.yaml train them."
        )
    same = network is None or network.class_names == explainer.class_names
    if network is not None and not same:
        names = ", ".join(network.class_names)
        notes.append(f"The oracle knows other classes ({names}): it can't say whether it sees q.")
    return Judges(network, same, encoders), notes
