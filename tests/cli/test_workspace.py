"""``workspace``: what the view shows, and what is said where it can't be saved."""

import sys

import pytest
import wandb

from lightning_ecinn.callbacks.loggers import SECTIONS
from lightning_ecinn.cli import workspace as module
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.workspace import review_workspace


@pytest.fixture
def view():
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is an optional package")
    return review_workspace("me", "digits", "mine")


@pytest.fixture
def online(monkeypatch):
    """Somebody is logged in; whatever is saved fails, unless a test says otherwise."""
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is an optional package")
    from wandb_workspaces.workspaces import Workspace

    monkeypatch.setattr(module, "is_logged_in", lambda: True)
    monkeypatch.setattr(wandb, "Api", lambda: type("Api", (), {"default_entity": "me"}))
    return lambda save: monkeypatch.setattr(Workspace, "save", save)


def keys(panel):
    of = {"LinePlot": "y", "BarPlot": "metrics", "MediaBrowser": "media_keys"}
    return [str(getattr(key, "name", key)) for key in getattr(panel, of[type(panel).__name__])]


def test_sections_from_the_top_down(view):
    names = [section.name for section in view.sections]
    assert names == ["train", "val", "test", "counterfactuals", "heatmaps", "samples"]
    assert {*names[3:]} <= {*SECTIONS}
    for section in view.sections:
        assert section.is_open
        for panel in section.panels:
            if type(panel).__name__ != "WeavePanelSummaryTable":
                assert all(key.startswith(f"{section.name}/") for key in keys(panel))


def test_what_the_view_is_for_w_and_b(view):
    """Its model, which `save` would upload."""
    model = view._to_model()
    assert (model.entity, model.project, model.display_name) == ("me", "digits", "mine")
    spec = model.spec.section
    train, val, *_ = spec.panel_bank_config.sections
    assert {panel.config.x_axis for panel in train.panels} == {"trainer/global_step"}
    assert {panel.config.x_axis for panel in val.panels} == {"epoch"}
    (key,) = spec.run_sets[0].sort.keys
    assert (key.key.section, key.key.name, key.ascending) == ("summary", "val/loss.min", True)
    text = model.spec.model_dump_json(by_alias=True, exclude_none=True)
    assert "counterfactuals/table" in text
    assert "counterfactuals/heatmap" in text


def test_it_is_saved_and_said_where(online, capsys):
    saved = []

    def save(view):
        saved.append((view.entity, view.project, view.name))
        return type("Saved", (), {"url": "https://example.org/view"})

    online(save)
    main(["workspace", "--project", "digits"])
    assert saved == [("me", "digits", "Review")]
    assert capsys.readouterr().out == "The view is at https://example.org/view\n"


def refusal(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(["workspace", *words])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_what_can_not_be_saved(online, capsys):
    def save(view):
        raise wandb.errors.CommError("no such project\nat all")

    online(save)
    said = refusal(capsys, "--entity=them", "--project=digits")
    assert "The view of digits could not be saved" in said
    assert "(no such project at all): give an --entity that is yours" in said


def test_nobody_is_logged_in(online, capsys, monkeypatch):
    monkeypatch.setattr(module, "is_logged_in", lambda: False)
    assert "nobody is logged in: wandb login" in refusal(capsys)


def test_without_the_package(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    assert "pip install 'lightning_ecinn[workspace]'" in refusal(capsys)


@pytest.mark.parametrize("words", [["--projekt=x"], ["--project="], ["more"]])
def test_mistakes_are_one_line(words, capsys):
    assert refusal(capsys, *words).startswith("error: ")
