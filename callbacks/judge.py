"""After fitting: an independent network looks at the counterfactuals, and says what it sees."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from lightning_ecinn.callbacks.class_means import BuildClassMeans, are_equal
from lightning_ecinn.callbacks.given_loaders import has_images, with_given_loaders
from lightning_ecinn.callbacks.judge_file import earlier_judge, keep_judge
from lightning_ecinn.callbacks.kept_checkpoints import kept_files, named_files, tell_loggers
from lightning_ecinn.callbacks.loggers import log_numbers
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.models import Network
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import draw_images
from lightning_ecinn.training.fitted_step import configured_step, store_fitted_step, use_step
from lightning_ecinn.training.judge import new_judge, train_judge
from lightning_ecinn.training.judged import (
    Seen,
    Verdict,
    fitted_step,
    fitted_temperature,
    judged,
)
from lightning_ecinn.training.processes import on_the_first

__all__ = ["JudgeCounterfactuals"]

_TEMPERATURE = "classifier.mixture.temperature"
_FEW = 16


@dataclass(frozen=True)
class _Fitted:
    """What belongs to the weights of one moment.

    Attributes:
        temperature: of the posterior.
        step: the convincing step that was fitted, if one was.
        verdicts: numbers and sentences.
    """

    temperature: float = 1.0
    step: tuple[float, float] | None = None
    verdicts: tuple[Verdict, ...] = ()

    def give(self, module: IBINN) -> None:
        """Let a module have it."""
        module.classifier.mixture.temperature.fill_(self.temperature)
        use_step(module, self.step)


class JudgeCounterfactuals(pl.Callback):
    """Train an ordinary network beside a flow, and ask it what it sees in the counterfactuals.

    When the class means are built, a small convolutional network (:class:`ConvNetwork`) is trained
    for minutes on the training images alone and kept as ``judge.ckpt`` beside the checkpoints,
    for ``evaluate --oracle`` too. Then one sentence says what was reached on test images, or on
    validation images where there are no others: in how many counterfactuals at the convincing step
    it sees the target, one random other class for each image. The numbers are logged as
    ``judge/...``, and the expected calibration error of the flow (15 bins) as ``calibration/ece``.
    A run that goes on takes the judge that it had.

    On validation images two things can be fitted, which the kept checkpoints hold from then on, so
    that `Explainer.from_checkpoint`, `evaluate`, `test` and `predict` use them. Neither changes
    what an image is classified as, or its tipping point.

    Args:
        agreement: share of the counterfactuals in which the judge is to see the target, such as
            0.95: the convincing step becomes the shortest that does it, its offset one of those
            from the configured one up to 2, by 0.05. Where none does, it is the shortest of those
            with the largest share, and that is said. Nothing, as in the paper, leaves it.
        calibrate: fit the posterior's temperature, so that of the images that are given 90 % some
            90 % are right; the paper's is 1.
        epochs: of the judge's training.
        minutes: the most that it takes.
        images: of each split, drawn by seed, that are looked at.
        seed: of the judge and the images.

    Raises:
        ValueError: for settings that are none.

    Example:
        >>> judge = JudgeCounterfactuals(agreement=0.95, calibrate=True, minutes=1)
        >>> callbacks = make_callbacks(judge=judge)
        >>> [type(callback).__name__ for callback in callbacks[:2]]
        ['BuildClassMeans', 'JudgeCounterfactuals']
    """

    def __init__(
        self,
        agreement: float | None = None,
        calibrate: bool = False,
        *,
        epochs: int = 8,
        minutes: float = 3.0,
        images: int = 1000,
        seed: int = 0,
    ):
        if agreement is not None and not 0 < agreement <= 1:
            raise ValueError(
                f"JudgeCounterfactuals: agreement is {agreement!r}; give a share such as 0.95, or "
                "nothing."
            )
        for name, value, least in (("epochs", epochs, 1), ("images", images, 1), ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"JudgeCounterfactuals: {name} is {value}; give {least} or more.")
        if not minutes > 0:
            raise ValueError(f"JudgeCounterfactuals: minutes is {minutes}; give more than 0.")
        self.agreement, self.calibrate = agreement, calibrate
        self.epochs, self.minutes = epochs, minutes
        self.images, self.seed = images, seed
        self._named: dict[str, None] = {}

    @property
    def fits(self) -> bool:
        """Whether anything is fitted on validation images."""
        return self.calibrate or self.agreement is not None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse to stand where there are no class means yet."""
        self._named = {}
        if stage != "fit":
            return
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        before = callbacks[: callbacks.index(self)]
        if not any(isinstance(one, BuildClassMeans) for one in before):
            raise ValueError(
                "JudgeCounterfactuals needs class means, but no BuildClassMeans comes before it "
                "among the trainer's callbacks: take make_callbacks(judge=...), or put one there."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what could not be fitted when hours have passed."""
        if self.fits and not _has(trainer, "val"):
            raise ValueError(
                "JudgeCounterfactuals: agreement and calibrate are fitted on validation images, "
                "but there are none: give some (data.init_args.val_size), or leave both out."
            )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the newest files, as `BuildClassMeans` does."""
        self._named.update(dict.fromkeys(named_files(trainer)))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train the judge, fit, and say what it sees; the module ends as the best checkpoint."""
        is_trained = trainer.num_training_batches and not trainer.interrupted
        if not is_trained or not isinstance(pl_module, IBINN):
            return
        paths = kept_files(trainer, self._named) if self.fits else []
        found = on_the_first(trainer, self._carefully(trainer, pl_module, paths))
        if found is None:
            return
        if self.fits:
            found.give(pl_module)
        if trainer.is_global_zero:
            numbers: dict[str, float] = {}
            for verdict in found.verdicts:
                numbers |= verdict.numbers
                rank_zero_info(verdict.sentence)
            log_numbers(trainer, numbers)
        if paths:
            tell_loggers(trainer)

    def _carefully(
        self, trainer: pl.Trainer, module: IBINN, paths: list[str]
    ) -> Generator[None, None, _Fitted | None]:
        """All the work, yielding between its parts; what fails is remarked upon."""
        state = {key: value.clone() for key, value in module.state_dict().items()}
        found = None
        with going_on(trainer, "The counterfactuals could not be judged"):
            split: SplitName = "test" if _has(trainer, "test") else "val"
            with with_given_loaders(trainer):
                found = yield from self._work(trainer, module, paths, split)
        if self.fits:  # what belongs to it is given to it on every process
            use_step(module, None)
        module.load_state_dict(state)
        return found

    def _work(
        self, trainer: pl.Trainer, module: IBINN, paths: list[str], split: SplitName
    ) -> Generator[None, None, _Fitted]:
        judge = yield from self._judge(trainer, module)
        fitted = yield from self._fit_all(trainer, module, judge, paths)
        seen = self._seen(trainer, module, split)
        kind = "test" if split == "test" else "validation"
        return replace(fitted, verdicts=(*fitted.verdicts, judged(seen, judge, kind)))

    def _judge(self, trainer: pl.Trainer, module: IBINN) -> Generator[None, None, Network]:
        """The judge in evaluation mode: that of a run that goes on, or a new one; kept."""
        if earlier := earlier_judge(trainer, module.classifier):
            return earlier.to(module.device)
        judge = new_judge(module.classifier, self.seed).to(module.device)
        epochs = 1 if trainer.fast_dev_run else self.epochs  # type: ignore[attr-defined]
        yield from train_judge(trainer, judge, epochs=epochs, minutes=self.minutes, seed=self.seed)
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            keep_judge(trainer, judge)
        return judge.network

    def _fit_all(
        self, trainer: pl.Trainer, module: IBINN, judge: Network, paths: list[str]
    ) -> Generator[None, None, _Fitted]:
        """Fit for the module as it is, and for each file, which gets what belongs to it."""
        if not self.fits:
            return _Fitted()
        state = _on_cpu(module.state_dict())
        ours = self._fit(trainer, module, judge)
        yield
        for path in paths:
            content = trainer.strategy.load_checkpoint(path, weights_only=True)
            theirs = ours
            if not are_equal(content["state_dict"], state):  # often the last is the best
                module.load_state_dict(content["state_dict"])
                theirs = self._fit(trainer, module, judge)
                for verdict in theirs.verdicts:
                    rank_zero_info(f"{Path(path).name}: {verdict.sentence}")
                yield
            theirs.give(module)
            content["state_dict"][_TEMPERATURE] = module.classifier.mixture.temperature.cpu()
            store_fitted_step(module, content)
            with going_on(trainer, f"{Path(path).name} stays without what was fitted"):
                trainer.strategy.save_checkpoint(content, path)
                trainer.strategy.checkpoint_io.teardown()  # one that writes in the background
        module.load_state_dict(state)
        ours.give(module)
        return ours

    def _fit(self, trainer: pl.Trainer, module: IBINN, judge: Network) -> _Fitted:
        """What the validation images ask for, for the module's present weights."""
        fitted = _Fitted()
        fitted.give(module)
        seen = self._seen(trainer, module, "val")
        if self.agreement is not None:
            step, verdict = fitted_step(seen, judge, configured_step(module), self.agreement)
            fitted = replace(fitted, step=step, verdicts=(verdict,))
        if self.calibrate:
            temperature, verdict = fitted_temperature(seen)
            verdicts = (*fitted.verdicts, verdict)
            fitted = replace(fitted, temperature=temperature, verdicts=verdicts)
        return fitted

    def _seen(self, trainer: pl.Trainer, module: IBINN, split: SplitName) -> Seen:
        limit = min(self.images, _FEW) if trainer.fast_dev_run else self.images  # type: ignore[attr-defined]
        return Seen.of(module.explainer, *draw_images(trainer, split, limit, self.seed))


def _has(trainer: pl.Trainer, split: SplitName) -> bool:
    """Whether there are images of a split."""
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        return len(datamodule.dataset(split)) > 0
    return has_images(trainer, split)


def _on_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.cpu().clone() for key, value in state.items()}
