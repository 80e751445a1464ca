"""The averages of an epoch that is stopped in its middle: they go on with it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultMetric

__all__ = ["put_averages", "take_averages"]

_SETTINGS = ("fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "add_dataloader_idx")


def take_averages(trainer: pl.Trainer) -> list[list[dict[str, Any]]]:
    """What the training steps of this epoch logged so far, a list per process.

    Every process takes part. Only averages and sums of numbers: a metric that is a module is in
    the module's state.
    """
    results = trainer.fit_loop.epoch_loop._results
    mine = [_state(metric) for metric in results.result_metrics if _is_kept(metric)]
    if trainer.world_size == 1:
        return [mine]
    parts: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(parts, mine)
    return parts


def put_averages(trainer: pl.Trainer, parts: list[list[dict[str, Any]]]) -> None:
    """Add those of its first part to this epoch's averages.

    Under another number of processes the first one takes them all, which comes to the same.
    """
    rank, world = trainer.global_rank, trainer.world_size
    mine = [parts[rank]] if len(parts) == world else parts if rank == 0 else []
    results, device = trainer.fit_loop.epoch_loop._results, trainer.strategy.root_device
    for state in (state for part in mine for state in part):
        key = f"{state['fx']}.{state['name']}"
        if key not in results:
            results.log(
                **{name: state[name] for name in _SETTINGS},
                value=torch.zeros_like(state["sum"], device=device),
                reduce_fx="mean" if "count" in state else "sum",
                sync_dist=trainer.world_size > 1,
                sync_dist_fn=trainer.strategy.reduce,
                batch_size=0,
            )
        metric = results[key]
        metric.value = metric.value + state["sum"].to(device)
        if "count" in state:
            metric.cumulated_batch_size = metric.cumulated_batch_size + state["count"].to(device)


def _is_kept(metric: _ResultMetric) -> bool:
    is_sum = metric.meta.is_mean_reduction or metric.meta.is_sum_reduction
    return metric.is_tensor and is_sum and metric.meta.on_epoch and not metric.has_reset


def _state(metric: _ResultMetric) -> dict[str, Any]:
    """Plain values, as a checkpoint holds them."""
    state = {name: getattr(metric.meta, name) for name in _SETTINGS}
    state["sum"] = metric.value.cpu()
    if metric.meta.is_mean_reduction:
        state["count"] = metric.cumulated_batch_size.cpu()
    return state
