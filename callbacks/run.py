"""Which callbacks a run has, and in which order: what the command line adds, for a script."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from lightning_ecinn.callbacks.checkpoint import RunCheckpoint
from lightning_ecinn.callbacks.class_means import BuildClassMeans
from lightning_ecinn.callbacks.counterfactual_writer import CounterfactualWriter
from lightning_ecinn.callbacks.judge import JudgeCounterfactuals
from lightning_ecinn.callbacks.metrics_json import MetricsJSON
from lightning_ecinn.callbacks.posterior_writer import PosteriorWriter
from lightning_ecinn.callbacks.step_curves import StepCurves
from lightning_ecinn.callbacks.stop_on_nonfinite import StopOnNonFiniteLoss
from lightning_ecinn.callbacks.stop_on_signal import StopOnSignal

__all__ = ["CHECKPOINT", "make_callbacks"]

CHECKPOINT: dict[str, Any] = {
    "monitor": "val/loss",
    "filename": "best",
    "save_last": True,
    "auto_insert_metric_name": False,
}
"""Checkpoints of a run: the best one by its validation loss, and the last one."""


def make_callbacks(
    *pictures: pl.Callback,
    class_means: BuildClassMeans | None = None,
    counterfactuals: CounterfactualWriter | None = None,
    metrics: MetricsJSON | None = None,
    checkpoint: RunCheckpoint | None = None,
    judge: JudgeCounterfactuals | None = None,
) -> list[pl.Callback]:
    """The callbacks of a run in their order: class means, before the pictures that need them.

    A judge among the pictures comes before them too: it may fit the step at which they are drawn.

    Curves over steps go to the loggers, see :class:`StepCurves`.

    A :class:`pytorch_lightning.Trainer` with these does what ``fit``, ``test`` and ``predict`` of
    the command line do.

    Args:
        *pictures: callbacks of one's own choice, such as :class:`CounterfactualGrid`.
        class_means: builds the class means after fitting; by default as in the paper.
        counterfactuals: writes what ``predict`` finds.
        metrics: keeps the metrics in a file.
        checkpoint: keeps checkpoints; by default the best one and the last one, in the folder
            where Lightning puts them.
        judge: looks at the counterfactuals when the training is finished; by default nobody does.

    Example:
        >>> data = MNIST(source="sample", val_size=28_500, batch_size=250)
        >>> module = IBINN((1, 28, 28), 10, blocks=[1, 1], widths=[4, 4], fc_blocks=0)
        >>> few = {"limit_train_batches": 1, "limit_val_batches": 1, "enable_progress_bar": False}
        >>> trainer = pl.Trainer(max_epochs=1, logger=False, callbacks=make_callbacks(), **few)
        >>> trainer.fit(module, data)
        >>> explainer = Explainer.from_checkpoint(trainer.checkpoint_callback.best_model_path)
        >>> int(explainer.classifier.class_counts.sum())  # every training image is in a mean
        1500
    """
    judges = [one for one in (judge, *pictures) if isinstance(one, JudgeCounterfactuals)]
    return [
        class_means or BuildClassMeans(),
        *judges,
        StopOnNonFiniteLoss(),
        StepCurves(),
        PosteriorWriter(),
        metrics or MetricsJSON(),
        counterfactuals or CounterfactualWriter(),
        *(one for one in pictures if not isinstance(one, JudgeCounterfactuals)),
        StopOnSignal(),  # after all that a step brings about, before what saves it
        checkpoint or RunCheckpoint(**CHECKPOINT),
    ]
