"""What is said when a run has finished: its metrics, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

__all__ = ["say_farewell"]

HEADLINES = ("accuracy", "bpd", "loss", "validity", "heatmap_mass")
"""The metrics that are named."""


@rank_zero_only
def say_farewell(folder: Path, metrics: Mapping[str, float | None], after_fit: bool) -> None:
    """Print the newest metrics and the pictures and checkpoints of a run.

    Args:
        folder: the run's.
        metrics: the newest value of each.
        after_fit: whether the validation was part of a training.
    """
    lines = []
    for stage, remark in (("val", " (after the last epoch)" if after_fit else ""), ("test", "")):
        keys = [f"{stage}/{name}" for name in HEADLINES]
        found = {key: metrics[key] for key in keys if key in metrics}
        if found:
            lines.append(", ".join(f"{k} {v:.4g}" for k, v in found.items()) + remark)
    lines.append(f"This run lies in {folder}")
    written = [*folder.glob("pictures/*.png"), *folder.glob("checkpoints/*.ckpt")]
    lines += [f"  {path.relative_to(folder)}" for path in sorted(written)]
    print("\n".join(lines))
