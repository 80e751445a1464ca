"""``workspace``: the pages of a Weights & Biases project, laid out for review."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import wandb

from lightning_ecinn.cli.options import check_name
from lightning_ecinn.cli.parsing import own_parser
from lightning_ecinn.cli.run_loggers import is_logged_in
from lightning_ecinn.cli.words import PROGRAM
from lightning_ecinn.plain_text import plain

__all__ = ["review_workspace", "workspace"]

_DESCRIPTION = """\
Lay out a Weights & Biases project for review, as a new view of it: curves over steps, validation
over epochs, tests, counterfactuals, heatmaps and samples, from the top down. Runs are sorted by
their lowest val/loss. Views that are there already stay as they are.

Needs wandb-workspaces: pip install 'lightning_ecinn[workspace]'
"""

_EXAMPLES = f"""\
examples:
  {PROGRAM} workspace
  {PROGRAM} workspace --entity my-team --project faces --name "faces, for review"
"""

_OVER_STEPS = ("loss_step", "l_x_step", "l_y_step", "accuracy_step", "lr", "grad_norm")
_OVER_EPOCHS = ("loss", "l_x", "l_y", "accuracy", "bpd", "bpd_paper")
_AT_THE_END = ("accuracy", "validity", "loss", "bpd")
_PICTURES = {
    "counterfactuals": ("image", "counterfactual", "heatmap"),
    "heatmaps": ("heatmaps",),
    "samples": ("classes",),
}
"""What callbacks log, by section."""


def workspace(words: Sequence[str]) -> None:
    """Run it.

    Args:
        words: what comes after ``workspace``.

    Raises:
        ValueError: nobody is logged in, a package is missing, or the view can't be saved.
    """
    given = _parser().parse_args(list(words))
    check_name("project", given.project)
    _package()
    if not is_logged_in():
        raise ValueError("workspace needs Weights & Biases, and nobody is logged in: wandb login")
    try:
        entity = given.entity or wandb.Api().default_entity or ""
        url = review_workspace(entity, given.project, given.name).save().url
    except Exception as error:
        reason = plain(" ".join(str(error).split())[:300]) or type(error).__name__
        raise ValueError(
            f"The view of {given.project} could not be saved to Weights & Biases ({reason}): give "
            "an --entity that is yours and a --project that has runs."
        ) from None
    print(f"The view is at {url}")


def review_workspace(entity: str, project: str, name: str = "Review") -> Any:
    """The view, a `wandb_workspaces.workspaces.Workspace`; ``save`` of it uploads it.

    What has no panel here gets one of Weights & Biases' own below.

    Args:
        entity: user or team.
        project: of the runs.
        name: of the view.

    Raises:
        ValueError: wandb-workspaces is not installed.
    """
    views, panels = _package()
    sections = {
        "train": [_curve(panels, f"train/{key}", "trainer/global_step") for key in _OVER_STEPS],
        "val": [_curve(panels, f"val/{key}", "epoch") for key in _OVER_EPOCHS],
        "test": [panels.BarPlot(title=f"test/{k}", metrics=[f"test/{k}"]) for k in _AT_THE_END],
        **{section: _pictures(panels, section, keys) for section, keys in _PICTURES.items()},
    }
    best = views.Ordering(views.Summary("val/loss.min"), ascending=True)
    return views.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            views.Section(name=title, panels=content, is_open=True)
            for title, content in sections.items()
        ],
        settings=views.WorkspaceSettings(group_by_prefix="first"),
        runset_settings=views.RunsetSettings(order=[best]),
        auto_generate_panels=True,
    )


def _curve(panels: Any, key: str, over: str) -> Any:
    return panels.LinePlot(title=key, x=over, y=[key])


def _pictures(panels: Any, section: str, keys: Sequence[str]) -> list[Any]:
    """All of them in one panel, so that rows of a table stand side by side."""
    shown = panels.MediaBrowser(
        title=section,
        media_keys=[f"{section}/{key}" for key in keys],
        layout=panels.Layout(w=24, h=12),
    )
    if section != "counterfactuals":
        return [shown]
    table = panels.WeavePanelSummaryTable(
        table_name=f"{section}/table", layout=panels.Layout(y=12, w=24, h=12)
    )
    return [shown, table]


def _package() -> tuple[Any, Any]:
    """Its views and their panels."""
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as views
    except ImportError:
        raise ValueError(
            "workspace needs the package wandb-workspaces: pip install 'lightning_ecinn[workspace]'"
        ) from None
    return views, panels


def _parser() -> argparse.ArgumentParser:
    parser = own_parser("workspace", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("--entity", help="user or team; the login's own by default")
    add("--project", default="lightning_ecinn", help="of the runs; lightning_ecinn by default")
    add("--name", default="Review", help="of the view; Review by default")
    return parser
