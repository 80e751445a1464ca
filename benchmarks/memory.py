"""Memory of training: flat in depth when reversible; the largest network in 11 GB."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.command import command
from benchmarks.footprint import SIDES, MemoryModel, chain, deep, deepest, footprint
from benchmarks.measure import Table, in_child, interleaved, peak_rss, ratio
from benchmarks.steps import Network, training_step

__all__ = ["run"]

LIMIT = 11e9
BATCH = 32
_KINDS = {"ordinary": False, "reversible": True}


def run(quick: bool = False, largest: bool = False) -> list[Table]:
    """Memory against depth, and against parameters.

    Args:
        quick: two small networks, to see whether it works.
        largest: also train the largest network at 64 pixels: 12 GB and many minutes.
    """
    if quick:
        return [_depth([2, 4], batch=2, repeats=1)]
    return [_depth([24, 48, 96], batch=128, repeats=5), *_limits(largest)]


def _depth(depths: Sequence[int], batch: int, repeats: int) -> Table:
    columns = ["blocks", "training", "peak MB", "activations MB", "glibc's default MB", "s/step"]
    table = Table(f"Depth: coupling blocks of 16 channels, width 64, batch {batch}", columns)
    slower = []
    for blocks in depths:
        seconds = _times(blocks, batch, repeats)
        slower.append(ratio(seconds, "reversible", "ordinary"))
        trained = 2 * 4 * footprint(chain(blocks)).parameters / 1e6
        for name, reversible in _KINDS.items():
            alive, default = (
                result["peak"] - result["built"]
                for result in (
                    _measured(chain(blocks), batch, reversible),
                    _measured(chain(blocks), batch, reversible, exact=False),
                )
            )
            median = statistics.median(seconds[name])
            table.rows.append([blocks, name, alive, alive - trained, default, median])
    for k in (2, 3, 4):
        ordinary, reversible = (table.rows[-2 + i][k] / table.rows[i][k] for i in (0, 1))
        table.notes.append(
            f"{depths[-1]} blocks over {depths[0]}, {columns[k]}: ordinary {ordinary:.2f} times, "
            f"reversible {reversible:.2f} times."
        )
    shown = ", ".join(f"{times:.2f}" for times in slower)
    table.notes.append(f"A reversible step takes {shown} times as long as an ordinary one.")
    table.notes.append(
        "Above a process that has built model and data. Peak: what is alive (the allocator returns "
        "freed memory at once). Activations: without gradients and momentum, which grow with the "
        "parameters. glibc's default leaves gaps between what is alive."
    )
    return table


def _times(blocks: int, batch: int, repeats: int) -> dict[str, list[float]]:
    network = Network("chain", chain(blocks), batch)
    steps = {
        name: training_step(network.build(reversible=reversible), network.data())
        for name, reversible in _KINDS.items()
    }
    return interleaved(steps, repeats, warmup=1)


def _limits(largest: bool) -> list[Table]:
    """The largest networks by the fitted memory model; some networks trained."""
    models = {name: _fitted(reversible) for name, reversible in _KINDS.items()}
    columns = ["side", "training", "blocks", "million parameters", "GB predicted"]
    table = Table(f"The largest network in {LIMIT / 1e9:.0f} GB, batch {BATCH}, Adam", columns)
    for side in SIDES:
        for name, model in models.items():
            depth = deepest(side, BATCH, LIMIT, model)
            if depth == 0:
                table.rows.append([side, name, "none fits", "-", "-"])
                continue
            settings = deep(side, depth)
            found = footprint(settings)
            bytes_ = model.predicted(found, BATCH)
            blocks = sum(settings["blocks"])
            table.rows.append([side, name, blocks, found.parameters / 1e6, bytes_ / 1e9])
    table.notes = [f"{model}." for model in models.values()]
    columns = ["network", "training", "million parameters", "batch", "GB predicted", "GB", "s/step"]
    tried = Table("Trained", columns, notes=["GB: all but Python and its libraries."])
    cases = [(10, 4, "ordinary"), (10, 4, "reversible")]
    if largest:
        cases.append((deepest(64, BATCH, LIMIT, models["reversible"]), BATCH, "reversible"))
    tried.rows = [_trained(deep(64, depth), batch, models[name]) for depth, batch, name in cases]
    return [table, tried]


def _fitted(reversible: bool) -> MemoryModel:
    """The memory model of one kind of training, from the peaks of small networks."""
    faces = {"image_shape": [3, 64, 64], "num_classes": 2, "blocks": [8, 24, 24], "fc_width": 256}
    faces |= {"widths": [16, 32, 64], "dropouts": [0.0] * 3, "init_scale": 0.75}
    cases: list[tuple[dict[str, Any], int]]
    cases = [(chain(24), 128), (chain(96), 128), (faces, 8), (faces, 24)]
    cases += [(deep(64, 1), 4), (deep(64, 1), 12), (deep(128, 1), 4)]
    results = [_measured(settings, batch, reversible) for settings, batch in cases]
    peaks = [1e6 * (result["peak"] - result["imported"]) for result in results]
    found = [footprint(settings) for settings, _ in cases]
    return MemoryModel.fit(found, [batch for _, batch in cases], peaks, reversible)


def _trained(settings: Mapping[str, Any], batch: int, model: MemoryModel) -> list[Any]:
    # The forward pass is the peak of ordinary training, once there are gradients and states.
    result = _measured(settings, batch, model.reversible, steps=1 if model.reversible else 2)
    found = footprint(settings)
    side, blocks = settings["image_shape"][1], sum(settings["blocks"])
    return [
        *(f"{side} pixels, {blocks} blocks", "reversible" if model.reversible else "ordinary"),
        *(found.parameters / 1e6, batch, model.predicted(found, batch) / 1e9),
        *((result["peak"] - result["imported"]) / 1e3, result["seconds"]),
    ]


def _measured(
    settings: Mapping[str, Any], batch: int, reversible: bool, exact: bool = True, steps: int = 2
) -> dict[str, float]:
    """Train in a process of its own: MB at most after importing, building, training; seconds."""
    arguments = {"settings": settings, "batch": batch, "reversible": reversible}
    return in_child("benchmarks.memory", **arguments, exact=exact, steps=steps)


def _child(
    settings: dict[str, Any], batch: int, reversible: bool, exact: bool, steps: int
) -> dict[str, float]:
    if exact:
        _return_freed_memory()
    imported = peak_rss()
    network = Network("", settings, batch)
    step = training_step(network.build(reversible=reversible), network.data())
    built = peak_rss()
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
    return {"imported": imported, "built": built, "peak": peak_rss(), "seconds": seconds}


def _return_freed_memory() -> None:
    """Make glibc hand every block from 64 kB on back at once, or the peak would count gaps."""
    mmap_threshold = -3  # malloc.h
    ctypes.CDLL(None).mallopt(mmap_threshold, 2**16)


if __name__ == "__main__":
    command("memory", run, _child, ["largest"])
