"""`evaluate` lets a network tell counterfactuals from real images."""

import json

import pytest
from evaluating import make_evaluate, make_models, rows_of  # noqa: F401 (fixtures)


def test_counterfactuals_are_told_apart_from_images(evaluate, capsys, monkeypatch):
    monkeypatch.setattr("lightning_ecinn.metrics.two_sample_training._STEPS", 10)
    words = ["--alphas", "convincing", "--deletion=0", "--trainer.logger=false", "--told_apart=1"]
    folder = evaluate(*words).run_folder
    found = json.loads((folder / "evaluation.json").read_text())
    measures = found["measures"]["convincing"]
    for name in ("told_apart", "told_apart_auc"):
        one = measures[name]
        assert 0 <= one["low"] <= one["value"] <= one["high"] <= 1
        assert 20 <= one["count"] <= measures["en"]["count"]
    assert "and as many real images of their classes" in capsys.readouterr().out
    assert "told apart, AUC" in (folder / "evaluation.md").read_text()
    assert "told_apart_auc" in (folder / "evaluation.csv").read_text()
    assert "picture" not in rows_of(folder)[0]
    assert found["settings"]["told_apart"] == 1


@pytest.mark.parametrize(
    ("words", "note"), [(["--count=12", "--told_apart=1"], True), (["--told_apart=0"], False)]
)
def test_too_few_or_not_asked_for(evaluate, capsys, words, note):
    common = ["--alphas", "convincing", "--deletion=0", "--trainer.logger=false"]
    folder = evaluate(*common, *words).run_folder
    found = json.loads((folder / "evaluation.json").read_text())
    assert "told_apart" not in found["measures"]["convincing"]
    assert any(text.startswith("Not told apart: convincing") for text in found["notes"]) == note
    assert ("told apart" in capsys.readouterr().out) == note


def test_a_number_of_networks(evaluate, capsys):
    with pytest.raises(SystemExit):
        evaluate("--told_apart=-1")
    assert "told_apart is -1; give 0 or more" in capsys.readouterr().err
