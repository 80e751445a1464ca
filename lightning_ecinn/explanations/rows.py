"""Counterfactuals as plain values, a row for each picture, target and step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.metrics.proximity import l1, l2

__all__ = ["Row", "picture_names", "result_rows", "step_names"]

Row: TypeAlias = dict[str, Any]
"""Plain values by name."""


def result_rows(
    steps: Sequence[Counterfactual],
    *,
    names: Sequence[str] | None = None,
    called: Sequence[str] | None = None,
) -> list[Row]:
    """One row for each picture, target and step, in this order.

    What is said of a counterfactual is said of its picture in 8 bits, encoded again.

    Args:
        steps: of the same images and targets, at several steps.
        names: of the pictures.
        called: what the steps are called.

    Returns:
        ``picture``, ``source``, ``source_posterior``, ``target``, ``step``, ``alpha``,
        ``target_posterior``, ``predicted``, ``holds``, ``reason``, ``log_prob_before`` and
        ``_after`` in nats, ``quantile_before`` and ``_after`` among the training images,
        ``l1``, ``l2`` (of the change, grey range 1), ``reconstruction_error``,
        ``forward_evaluations`` and ``inverse_evaluations``.

    Raises:
        ValueError: as `Counterfactual.certificate`.
    """
    names = picture_names(steps[0], names)
    of_steps = [
        _rows(cf, names, step) for cf, step in zip(steps, step_names(steps, called), strict=True)
    ]
    return [row for rows in zip(*of_steps, strict=True) for row in rows]


def picture_names(cf: Counterfactual, names: Sequence[str] | None) -> list[str]:
    """The pictures' names, or their numbers."""
    return [str(i) for i in range(len(cf))] if names is None else list(names)


def step_names(steps: Sequence[Counterfactual], called: Sequence[str] | None) -> list[str]:
    """What the steps are called, or their numbers where there are several."""
    if called is not None:
        return list(called)
    return ["counterfactual"] if len(steps) == 1 else [f"step {k + 1}" for k in range(len(steps))]


def _rows(cf: Counterfactual, names: Sequence[str], step: str) -> list[Row]:
    """Of one step."""
    of_targets = cf.target[0].numel()
    flat = {name: getattr(cf, name).flatten().tolist() for name in ("source", "target", "alpha")}
    before = torch.gather(cf.input_posterior, -1, cf.source.unsqueeze(-1)).flatten().tolist()
    pair = [pictures.flatten(0, cf.target.ndim - 1) for pictures in (cf.input, cf.image_8bit)]
    distance_1, distance_2 = l1(*pair).tolist(), l2(*pair).tolist()
    rows = []
    for i, said in enumerate(cf.certificate.rows()):
        p, q = flat["source"][i], flat["target"][i]
        rows.append(
            {
                "picture": names[i // of_targets],
                "source": cf.class_names[p],
                "source_posterior": before[i],
                "target": cf.class_names[q],
                "step": step,
                "alpha": flat["alpha"][i],
                "target_posterior": said["posterior"][q],
                "predicted": cf.class_names[said["predicted"]],
                **{name: said[name] for name in _SAID},
                "l1": distance_1[i],
                "l2": distance_2[i],
                **{name: said[name] for name in _COST},
            }
        )
    return rows


_SAID = (
    "holds",
    "reason",
    "log_prob_before",
    "log_prob_after",
    "quantile_before",
    "quantile_after",
)
_COST = ("reconstruction_error", "forward_evaluations", "inverse_evaluations")
