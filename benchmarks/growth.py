"""Cost against size: power laws and their picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

__all__ = ["LAST", "Axis", "Growth", "plot", "power_law"]

LAST = 3
"""Sizes that a law is fitted to: the largest, where the fixed cost of each layer matters least."""
_COLOURS = {"explaining": "#0072b2", "training": "#d55e00"}


@dataclass
class Axis:
    """One quantity that is varied, the others fixed.

    Attributes:
        name: of the quantity.
        sizes: its values.
        case: a value to the network's settings, the number of images, and whether they are
            explained to every class, or to one.
        power: of the value that cost is compared with: a side of pixels counts squared.
    """

    name: str
    sizes: Sequence[int]
    case: Callable[[int], tuple[dict[str, Any], int, bool]]
    power: int = 1


@dataclass
class Growth:
    """Seconds against sizes, and the law size^exponent that fits them.

    Attributes:
        axis: what was varied.
        seconds: for "explaining" and for "training", one median for each size.
    """

    axis: Axis
    seconds: dict[str, list[float]]

    @property
    def sizes(self) -> np.ndarray:
        """The sizes that cost is compared with."""
        return np.array(self.axis.sizes, float) ** self.axis.power

    def law(self, kind: str, last: int = 0) -> tuple[float, float]:
        """Factor and exponent over all sizes, or the last few."""
        return power_law(self.sizes[-last:], self.seconds[kind][-last:])


def power_law(sizes: Sequence[float] | np.ndarray, values: Sequence[float]) -> tuple[float, float]:
    """The factor a and exponent b of values = a sizes^b, by least squares in both logarithms."""
    exponent, logarithm = np.polyfit(np.log(sizes), np.log(values), 1)
    return math.exp(logarithm), float(exponent)


def plot(growths: Sequence[Growth], path: Path) -> None:
    """A panel for each size, log-log: points, and the law of the last three as a line."""
    figure, panels = plt.subplots(
        1, len(growths), figsize=(13, 3.6), sharey=True, layout="constrained"
    )
    for panel, growth in zip(panels, growths, strict=True):
        _draw(panel, growth)
    panels[0].set_ylabel("seconds per call")
    steepest = max(growth.law(kind, LAST)[1] for growth in growths for kind in growth.seconds)
    law = "linearly" if steepest <= 1.05 else f"to the power {steepest:.2f}"
    sizes = "classes, pixels, blocks and batch"
    figure.suptitle(f"Costs of explaining and training grow at most {law} with {sizes}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw(panel: Axes, growth: Growth) -> None:
    sizes, squared = growth.sizes, "²" if growth.axis.power == 2 else ""
    for kind, seconds in growth.seconds.items():
        factor, exponent = growth.law(kind, LAST)
        colour, label = _COLOURS[kind], f"{kind}: exponent {exponent:.2f}"
        panel.loglog(sizes, seconds, "o", color=colour, label=label)
        law = factor * sizes[-LAST:] ** exponent
        panel.loglog(sizes[-LAST:], law, color=colour, linewidth=1, alpha=0.6)
    panel.set_title(growth.axis.name)
    panel.xaxis.set_major_locator(FixedLocator(list(sizes)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticklabels([f"{size}{squared}" for size in growth.axis.sizes])
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8, loc="lower right")
