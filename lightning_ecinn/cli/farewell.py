"""What is said when a run has finished: its metrics, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from lightning_ecinn.callbacks.remarks import take_remarks
from lightning_ecinn.plain_text import plain

__all__ = ["say_farewell"]

HEADLINES = ("accuracy", "bpd", "loss", "validity", "heatmap_mass")
"""The metrics that are named."""


@rank_zero_only
def say_farewell(folder: Path, metrics: Mapping[str, float | None], after_fit: bool) -> None:
    """Print the newest metrics, the pictures and checkpoints of a run, and what it lacks.

    Args:
        folder: the run's.
        metrics: the newest value of each.
        after_fit: whether the validation was part of a training.

    Raises:
        ValueError: the command has nothing to show; says why.
    """
    lines = []
    for stage, note in (("val", " (after the last epoch)" if after_fit else ""), ("test", "")):
        keys = [f"{stage}/{name}" for name in HEADLINES]
        found = [f"{key} {_number(metrics[key])}" for key in keys if key in metrics]
        if found:
            lines.append(", ".join(found) + note)
    lines += _verdict(metrics)
    lines.append(f"This run lies in {plain(str(folder))}")
    patterns = ("pictures/*.png", "pictures/*.html", "pictures/*/table.csv", "checkpoints/*.ckpt")
    written = [path for pattern in patterns for path in folder.glob(pattern)]
    lines += [f"  {plain(str(path.relative_to(folder)))}" for path in sorted(written)]
    remarks = take_remarks(folder)
    lines += [f"  but: {remark.text}" for remark in remarks if not remark.fails]
    print("\n".join(lines))
    for remark in remarks:
        if remark.fails:
            raise ValueError(remark.text)


def _verdict(metrics: Mapping[str, float | None]) -> list[str]:
    """What a judge beside the training said, if there was one."""
    accuracy, seen = metrics.get("judge/accuracy"), metrics.get("judge/agreement")
    if accuracy is None or seen is None:
        return []
    return [
        f"An independent network of {100 * accuracy:.1f} % sees the target in {100 * seen:.1f} % "
        "of the convincing counterfactuals"
    ]


def _number(value: float | None) -> str:
    """Four digits; "–" for what is no number."""
    return "–" if value is None else f"{value:.4g}"
