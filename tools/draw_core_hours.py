"""Draw docs/core_hours.png from benchmarks/results/core_hours.csv.

python tools/draw_core_hours.py
"""

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
COLOURS = ("0.45", "#2166ac", "#b2182b")
PANELS = (("val_error", "validation error, %", 0.85), ("val_bpd_paper", "bpd_paper", 1.89))


def draw(rows):
    """Two panels over core-hours, a line for each training, the paper's Table 1 dotted."""
    figure = Figure(figsize=(8, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    names = list(dict.fromkeys(row["training"] for row in rows))
    for axes, (column, label, paper) in zip(figure.subplots(1, 2), PANELS, strict=True):
        for name, colour in zip(names, COLOURS, strict=True):
            known = [row for row in rows if row["training"] == name and row[column]]
            x, y = ([float(row[key]) for row in known] for key in ("core_hours", column))
            axes.plot(x, y, color=colour, label=name, marker=".", markersize=3, linewidth=1)
        axes.axhline(paper, color="black", linestyle=":", linewidth=1, label="the paper's Table 1")
        axes.set(xscale="log", yscale="log", xlabel="core-hours", ylabel=label)
        low, high = axes.get_ylim()
        ticks = [t for t in (0.7, 1, 2, 3, 5, 10, 20, 40) if low <= t <= high]
        axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
        axes.set_ylim(low, high)
        axes.minorticks_off()
        axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=7, loc="upper left")
    return figure


if __name__ == "__main__":
    with (ROOT / "benchmarks/results/core_hours.csv").open() as file:
        draw(list(csv.DictReader(file))).savefig(ROOT / "docs/core_hours.png")
