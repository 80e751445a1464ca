"""Whole training steps: plain, ours, in bfloat16, reversible, compiled; and under Lightning."""

from __future__ import annotations

import resource
import statistics
import time
from typing import Any

import pytorch_lightning as pl
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.ceilings import best_convolution
from benchmarks.command import command
from benchmarks.measure import Table, in_child, interleaved, ratio
from benchmarks.plain import plain
from benchmarks.steps import FACES, MNIST, TINY, Network, RandomImages, Step, training_step
from lightning_ecinn.allocator import keep_freed_memory
from lightning_ecinn.training import IBINN

__all__ = ["run"]


def run(quick: bool = False, compile: bool = False) -> list[Table]:
    """Training steps of both networks, the share of Lightning, and what the allocator costs.

    Args:
        quick: a tiny network and few repeats, to see whether it works.
        compile: also the compiled network; compiling takes a minute or more.
    """
    pairs = [(TINY, 2)] if quick else [(MNIST, 9), (FACES, 3)]
    rows = [row for network, repeats in pairs for row in _variants(network, repeats, compile)]
    columns = ["network", "variant", "s/step", "images/s", "x plain", "GFLOP/s", "% of conv."]
    notes = [
        "One step: preprocessing with noise, flow, loss, backward, clipping, SGD; medians of steps "
        "that take turns. GFLOP/s counts the products of one ordinary forward and backward pass, "
        "the same for all variants; the last column divides by the fastest float32 convolution "
        "of the network's own shapes, forward, in the same process."
    ]
    steps = Table("Training steps", columns, rows, notes)
    network = pairs[0][0]
    return [steps, _lightning(network, 3 if quick else 12), _allocator(1 if quick else 3, quick)]


def _variants(network: Network, repeats: int, compile: bool) -> list[list[Any]]:
    data = network.data()
    direct = network.build(channels_last=False)
    direct.classifier = plain(direct.classifier)
    steps: dict[str, Step] = {
        "plain": training_step(direct, data),
        "ours": training_step(network.build(), data),
        "ours, bfloat16": training_step(network.build(), data, bfloat16=True),
        "ours, reversible": training_step(network.build(reversible=True), data),
    }
    if compile:
        compiled = network.build()
        compiled.compile_blocks()
        steps["ours, compiled"] = training_step(compiled, data)
    with FlopCounterMode(display=False) as counter:
        steps["plain"]()
    seconds = interleaved(steps, repeats)
    ceiling = best_convolution(network.batch, network.stages)
    rows = []
    for name, times in seconds.items():
        median = statistics.median(times)
        rate = counter.get_total_flops() / median / 1e9
        share = 100 * rate / ceiling
        faster = ratio(seconds, "plain", name)
        rows.append([network.name, name, median, network.batch / median, faster, rate, share])
    return rows


class _Turns(pl.Callback):
    """After each step of a Trainer a bare step, both timed."""

    def __init__(self, bare: Step):
        self.bare = bare
        self.seconds: dict[str, list[float]] = {"bare": [], "Lightning": []}
        self.resumed: float | None = None

    def on_train_batch_end(self, *args: Any) -> None:
        """Time since the last bare step, then the next one."""
        now = time.perf_counter()
        if self.resumed is not None:
            self.seconds["Lightning"].append(now - self.resumed)
        self.bare()
        self.resumed = time.perf_counter()
        self.seconds["bare"].append(self.resumed - now)


def _lightning(network: Network, steps: int) -> Table:
    module = network.build()
    turns = _Turns(training_step(network.build(), network.data()))
    shape, num_classes = network.settings["image_shape"], network.settings["num_classes"]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps + 3,
        gradient_clip_val=8.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[turns],
    )
    trainer.fit(IBINN(**module.hparams), RandomImages(shape, num_classes, 1000, network.batch))
    seconds = {name: times[-steps:] for name, times in turns.seconds.items()}
    medians = [statistics.median(seconds[name]) for name in ("bare", "Lightning")]
    share = 100 * (1 - 1 / ratio(seconds, "Lightning", "bare"))
    columns = ["network", "bare s/step", "Trainer s/step", "% outside the network"]
    notes = ["Steps of a Trainer on images in memory, without logger, and bare steps take turns."]
    return Table("A step under Lightning", columns, [[network.name, *medians, share]], notes)


def _allocator(rounds: int, quick: bool) -> Table:
    table = Table("What the allocator costs", ["freed memory", "s/step", "page faults/step"])
    found: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for _ in range(rounds):
        for keep, results in found.items():
            results.append(in_child("benchmarks.training", keep=keep, quick=quick))
    for keep, results in found.items():
        seconds = statistics.median(result["seconds"] for result in results)
        faults = statistics.median(result["faults"] for result in results)
        table.rows.append(["kept" if keep else "given back (default)", seconds, faults])
    name = TINY.name if quick else MNIST.name
    table.notes.append(f"The {name} network; a process each, {rounds} of each kind in turn.")
    return table


def _allocator_child(keep: bool, quick: bool) -> dict[str, float]:
    if keep:
        keep_freed_memory()
    network = TINY if quick else MNIST
    step = training_step(network.build(), network.data())
    repeats = 7
    interleaved({"step": step}, repeats=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = interleaved({"step": step}, repeats, warmup=0)["step"]
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return {"seconds": statistics.median(seconds), "faults": faults / repeats}


if __name__ == "__main__":
    command("training", run, _allocator_child, ["compile"])
