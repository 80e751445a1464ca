"""Commands that explain another classifier than the flow's own."""

import json

import numpy as np
import pytest
import torch
from evaluating import make_evaluate, make_models, rows_of
from PIL import Image

from lightning_ecinn import BlackBoxExplainer, Explainer
from lightning_ecinn.cli.main import main

__all__ = ["make_evaluate", "make_models"]

FUNCTION = """
import torch
def halves(x):
    above, below = x[:, :, :14].mean((1, 2, 3)), x[:, :, 14:].mean((1, 2, 3))
    return 30 * torch.stack((above, below), 1)
"""
NAMES = ["--classifier_classes", "above", "below"]
STEPS = ["--alphas", "star", "certified"]


@pytest.fixture
def function(tmp_path):
    (tmp_path / "halves.py").write_text(FUNCTION)
    return f"--classifier={tmp_path / 'halves.py'}:halves"


def test_evaluate_asks_the_classifier_about_its_own_classes(evaluate, function):
    cli = evaluate(function, *NAMES, *STEPS, "--count=12", "--means_images=60")
    rows = rows_of(cli.run_folder)
    assert {row["step"] for row in rows} == {"star", "certified"}
    assert {row["target"] for row in rows} <= {"0", "1"}
    # The classifier's own predictions are the labels, and other ones are asked for.
    assert all(row["label"] == row["source"] != row["target"] for row in rows)
    found = json.loads((cli.run_folder / "evaluation.json").read_text())
    assert found["settings"]["classifier"].endswith("halves.py:halves")
    assert set(found["directions"]) == {"above → below", "below → above"}
    assert found["audit"]["step"] == "certified"
    exist = [row for row in rows if row["step"] == "certified" and row["defined"] == "1"]
    pairs = found["audit"]["pairs"].values()
    assert sum(pair["count"] for pair in pairs) == len(exist)
    assert all(float(row["target_posterior"]) >= 0.9 for row in exist)
    assert any("explained through the flow of" in note for note in found["notes"])
    assert (cli.run_folder / "pictures" / "evaluation-audit.png").exists() == bool(exist)


def test_means_are_kept_and_taken_and_predict_writes_what_is_found(
    evaluate, function, models, tiny, tmp_path
):
    common = ["--config=smoke.yaml", *tiny]
    mine = tmp_path / "mine.ckpt"
    main(["means", *common, f"--ckpt_path={models['bare']}", function, *NAMES, f"--out={mine}"])
    predict = BlackBoxExplainer.from_checkpoint(mine, lambda x: _halves(x))
    assert predict.class_names == ("above", "below")
    assert predict.class_counts.sum() == 200
    cli = main(["predict", *common, f"--ckpt_path={mine}", function, "--model.predict_target=1"])
    with np.load(cli.run_folder / "counterfactuals.npz") as file:
        assert file["class_names"].tolist() == ["above", "below"]
        seen = _halves(torch.from_numpy(file["inputs"]).float() / 255).argmax(1)
        assert file["sources"].tolist() == seen.tolist()
        assert file["pictures"].shape == (60, 1, 1, 28, 28)
    with pytest.raises(SystemExit):
        main(["predict", *common, f"--ckpt_path={mine}", function, "--model.predict_target=7"])


def _halves(x):
    return 30 * torch.stack((x[:, :, :14].mean((1, 2, 3)), x[:, :, 14:].mean((1, 2, 3))), 1)


def test_compare_has_one_more_model(models, tiny, function, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = ["--count=1", "--measure=3", "--methods", "ecinnh", "deep_lift", "saliency"]
    given = ["--ckpt_path", models["flow"], function, *NAMES]
    cli = main(["compare", "--config=smoke.yaml", *tiny, *few, *given])
    found = json.loads((cli.run_folder / "comparison.json").read_text())
    assert [model["name"] for model in found["models"]] == ["flow", "halves"]
    assert "halves: no DeepLift" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", "--config=smoke.yaml", *tiny, "--ckpt_path", models["oracle"], function])
    assert "none of the checkpoints holds a generative classifier" in capsys.readouterr().err


def test_explain_takes_class_means_from_pictures_or_a_file(
    models, function, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for k in range(24):
        pixels = np.zeros((28, 28), np.uint8)
        pixels[slice(2, 12) if k % 2 else slice(16, 26), 2 + k % 7 : 26] = 200 + k
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{k}.png")
    given = ["explain", "pictures/1.png", f"--ckpt_path={models['flow']}", "--no-page", function]
    main([*given, *NAMES, *STEPS, "--images", "pictures", "--out=o"])
    rows = json.loads((tmp_path / "o" / "results.json").read_text())["counterfactuals"]
    assert [(row["source"], row["target"]) for row in rows] == [("above", "below")] * 2
    captured = capsys.readouterr()
    assert "1.png: above" in captured.out
    assert "halves classifies them: above 12, below 12" in captured.err
    with pytest.raises(SystemExit):
        main([*given, *NAMES, "--out=p"])
    said = capsys.readouterr().err
    assert "holds no class means of" in said
    assert "give --images FOLDER" in said
    with pytest.raises(SystemExit):
        main([*given[:-1], f"{function}x", *NAMES, "--out=p"])
    assert "has no halvesx: it has" in capsys.readouterr().err


def test_a_file_of_another_classifier_explains_the_flows_own_and_says_so(
    models, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28), 9).save("a.png")
    flow, images = Explainer.from_checkpoint(models["flow"]), torch.rand(9, 1, 28, 28)
    Explainer.for_classifier(flow, _halves, images, ["above", "below"]).save("mine.ckpt")
    main(["explain", "a.png", "--ckpt_path=mine.ckpt", "--no-page", "--alphas=1"])
    said = capsys.readouterr().err
    assert "mine.ckpt holds class means of another classifier, too; the flow's own is" in said


@pytest.mark.parametrize("command", ["explain", "evaluate", "predict", "means", "compare"])
def test_options_of_a_classifier_without_one_are_refused(
    command, models, tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28)).save("a.png")
    words = ["a.png"] if command == "explain" else ["--config=smoke.yaml", *tiny]
    with pytest.raises(SystemExit):
        main([command, *words, "--ckpt_path", models["flow"], *NAMES])
    assert "--classifier_classes is about a classifier" in capsys.readouterr().err
