"""The subcommand `evaluate`: measures of counterfactuals over a data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.blackbox import AnyExplainer, AskedOptions, BlackBoxExplainer
from lightning_ecinn.blackbox.file import Stored, own_is_explained, stored_in
from lightning_ecinn.commands.asked import description_of, explained_over_data
from lightning_ecinn.commands.evaluation_data import EvaluationData
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.commands.evaluation_report import EvaluationReport
from lightning_ecinn.commands.judges import load_judges
from lightning_ecinn.datamodules.checks import SplitName, check_at_least
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.evaluation import check_alphas
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.checkpoint_files import CheckpointFiles
from lightning_ecinn.training.shared import DESCRIPTION, check_same_images

__all__ = ["EvaluateSettings", "evaluate"]

_PATH = tuple(one.name for one in fields(PathSettings))


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(AskedOptions):
    """What `evaluate` measures, of which counterfactuals, and how sure it is to be.

    Args:
        alphas: tipping, convincing, star, certified, or step lengths.
        targets: random, for one class other than the label for each image; all, for every
            class; or a file: .npz with target (PATH.npz:PREFIX for PREFIX/target) for every
            image in order, or .csv with the columns index and target.
        images: .npz file with images (N, H, W) or (N, H, W, C) uint8 and labels, in place of
            the split.
        split: where the images come from.
        count: only the first so many images.
        oracle: checkpoint of an ordinary network that judges the pictures.
        other_oracles: checkpoints of networks that know other labels of the same images, by the
            labels' names: their answers should stay.
        autoencoders: file of autoencoders, for IM1 and IM2: a checkpoint or PATH.npz:PREFIX.
        convincing_step: offset and slope of the convincing step; by default the checkpoint's.
        truncation: of the direction; by default the checkpoint's.
        confidence: of the certified step; by default the checkpoint's.
        seed: of random targets and intervals.
        bootstrap: samples of the 95 % intervals.
        deletion: images of the deletion and insertion curves; 0 leaves them out.
        told_apart: how many networks are trained for each step to tell its counterfactuals from
            real images of the same split and classes, at most 5,000 of each; 0 leaves it out. One
            takes about 15 seconds of a core for 5,000 digits; with two classes it is done for
            each direction too.
        audit: whether to look at the mean change from class to class, how alike the changes of
            different images are and, of made data, what the classifier uses; of up to 5,000
            counterfactuals.
        pages: whether to write pages to play with the best, the worst and the failed
            counterfactuals, up to 8 images each.
        survival: whether to measure what survives of tilt, weight and size; by default of pictures
            with one channel, as digits are.
        batch_size: counterfactuals at once.

    Raises:
        ValueError: for settings that nothing can be measured with.
    """

    alphas: list[float | str] = field(
        default_factory=lambda: ["tipping", "convincing", "star", "certified"]
    )
    targets: str = "random"
    images: str | None = None
    split: SplitName = "test"
    count: int | None = None
    oracle: str | None = None
    other_oracles: dict[str, str] | None = None
    autoencoders: str | None = None
    convincing_step: tuple[float, float] | None = None
    truncation: float | None = None
    confidence: float | None = None
    seed: int = 0
    bootstrap: int = 1000
    deletion: int = 64
    told_apart: int = 1
    audit: bool = True
    pages: bool = True
    survival: bool | None = None
    batch_size: int = 100

    def __post_init__(self) -> None:
        self.check()
        check_alphas(self.alphas)
        check_at_least(1, bootstrap=self.bootstrap, batch_size=self.batch_size)
        check_at_least(0, seed=self.seed, deletion=self.deletion, told_apart=self.told_apart)
        if self.count is not None:
            check_at_least(1, count=self.count)


def evaluate(
    trainer: pl.Trainer,
    model: pl.LightningModule,
    datamodule: pl.LightningDataModule,
    ckpt_path: str | None,
    settings: EvaluateSettings,
    files: CheckpointFiles,
) -> None:
    """Measure counterfactuals over a split, for several steps side by side; see `EvaluateSettings`.

    Args:
        trainer: runs the loop, knows folder and loggers.
        model: with ``hparams``; its network is used where there is no checkpoint.
        datamodule: the images.
        ckpt_path: the checkpoint.
        settings: what is measured.
        files: reads the checkpoint.
    """
    flow, stored = _flow(model, datamodule, ckpt_path, settings, files)
    explainer: AnyExplainer = flow
    if settings.classifier is not None:
        explainer = explained_over_data(trainer, datamodule, settings, flow, stored, ckpt_path)
    judges, missing = load_judges(
        explainer, settings.oracle, settings.autoencoders, settings.other_oracles
    )
    asked = explainer if isinstance(explainer, BlackBoxExplainer) else None
    notes = missing if asked is None else [_asked_note(settings, ckpt_path), *missing]
    written = _written(settings, explainer, trainer, datamodule, ckpt_path)
    named = "split", "images", "targets", "count", "seed", "batch_size"
    data = EvaluationData(datamodule, **_of(settings, *named), asked=asked)
    wanted = _of(settings, "bootstrap", "deletion", "told_apart", "pages", "seed")
    report = EvaluationReport(written, notes, audited=settings.audit, **wanted)
    module = CounterfactualEvaluation(
        explainer,
        check_alphas(settings.alphas),
        judges,
        survival=written["survival"],
        keep_pictures=settings.told_apart > 0 or settings.audit,
    )
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    kept = [c for c in callbacks if not isinstance(c, BasePredictionWriter)]
    trainer.callbacks = [*kept, report]  # type: ignore[attr-defined]
    try:
        trainer.predict(module, datamodule=data, return_predictions=False)
    finally:
        trainer.callbacks = callbacks  # type: ignore[attr-defined]


def _asked_note(settings: EvaluateSettings, ckpt_path: str | None) -> str:
    return (
        f"The classifier is {settings.classifier}, explained through the flow of "
        f"{ckpt_path or 'the module'}; log p is the flow's."
    )


def _has_survival(asked: bool | None, image_shape: tuple[int, ...]) -> bool:
    """Whether tilt, weight and size are measured: of pictures in grey."""
    if asked and image_shape[0] != 1:
        raise ValueError(
            f"--survival true is for pictures with one channel, but these are {image_shape} "
            "(channels, height, width): leave it out."
        )
    return image_shape[0] == 1 if asked is None else asked


def _of(settings: EvaluateSettings, *names: str) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in names}


def _written(
    settings: EvaluateSettings,
    explainer: AnyExplainer,
    trainer: pl.Trainer,
    datamodule: pl.LightningDataModule,
    ckpt_path: str | None,
) -> dict[str, Any]:
    """What was evaluated, for who reads the results."""
    return {
        "ckpt_path": ckpt_path,
        "data": type(datamodule).__name__,
        **asdict(settings),
        "split": None if settings.images else settings.split,
        "convincing_step": list(explainer.convincing_step),
        "survival": _has_survival(settings.survival, explainer.image_shape),
        "truncation": explainer.truncation,
        "confidence": explainer.confidence,
        "precision": str(trainer.precision),
    }


def _flow(
    model: pl.LightningModule,
    datamodule: pl.LightningDataModule,
    ckpt_path: str | None,
    chosen: EvaluateSettings,
    files: CheckpointFiles,
) -> tuple[Explainer, Stored | None]:
    """Explains with the weights and, where nothing else is chosen, the settings of a checkpoint.

    With it come the class means of another classifier that the checkpoint may hold.
    """
    stored = None
    configured = {name: _plain(model.hparams[name]) for name in _PATH if name in model.hparams}
    path = dict(configured)
    if ckpt_path is not None:
        checkpoint = files.take(ckpt_path, "classifier")
        keys = DESCRIPTION if chosen.classifier is None else ("image_shape",)
        check_same_images(checkpoint.config, description_of(datamodule), keys)
        classifier: Any = checkpoint.model()
        stored = stored_in(checkpoint)
        if stored is not None and chosen.classifier is None:
            rank_zero_info(own_is_explained(ckpt_path))
        path |= {name: _plain(v) for name, v in checkpoint.settings.items() if name in _PATH}
    elif isinstance(model, IBINN):
        classifier = model.classifier
    else:
        raise ValueError(
            "evaluate needs a generative classifier, model.class_path IBINN, got "
            f"{type(model).__name__}."
        )
    if chosen.classifier is None and not classifier.class_counts.any():
        raise ValueError(
            f"{ckpt_path or 'The network'} has no class means, so there are no counterfactuals: "
            "build them with `means`."
        )
    for name, ours in configured.items():
        if getattr(chosen, name) is not None:
            path[name] = getattr(chosen, name)
        elif path[name] != ours:
            rank_zero_info(
                f"{name} is {path[name]} as in the checkpoint, not {ours} as in the configuration: "
                f"--{name} chooses."
            )
    return Explainer(classifier, **path), stored


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
