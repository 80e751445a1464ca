"""Which heatmaps are compared, once: `compare` and the callback HeatmapComparison take it here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lightning_ecinn.blackbox import AskedOptions
from lightning_ecinn.comparison.explained import FIGURE_9, check_methods
from lightning_ecinn.datamodules.checks import SplitName, check_at_least

__all__ = ["Baselines", "HeatmapSettings"]

Baselines = Literal["black", "training images"]


@dataclass(frozen=True, kw_only=True)
class HeatmapSettings(AskedOptions):
    """Which heatmaps of which images are compared, and of which classifier beside the models.

    Args:
        methods: columns, names in ``lightning_ecinn.attribution.METHODS``.
        count: images that are drawn.
        measure: images that the numbers are over, at least `count`.
        split: where the images come from: "train", "val" or "test".
        seed: which images are drawn.
        target: class asked for; by default the second likeliest, of two classes the other one.
        baselines: what DeepLiftSHAP and GradSHAP compare with: "black" or "training images".
        num_baselines: how many training images.

    Raises:
        ValueError: for settings that nothing can be compared with.
    """

    methods: list[str] = field(default_factory=lambda: list(FIGURE_9))
    count: int = 4
    measure: int = 32
    split: SplitName = "test"
    seed: int = 0
    target: int | None = None
    baselines: Baselines = "training images"
    num_baselines: int = 10

    def __post_init__(self) -> None:
        self.check()
        check_methods(self.methods)
        check_at_least(1, count=self.count, measure=self.measure, num_baselines=self.num_baselines)
