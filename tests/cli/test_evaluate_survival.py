"""What survives, other labels' oracles, and both directions of two classes, as `evaluate` says."""

import csv
import json

import numpy as np
import pytest
import torch
from evaluating import give_means, make_evaluate, make_models, rows_of, save  # noqa: F401 (fixtures)

from lightning_ecinn import ConvNetwork, DrawnFaces, GenerativeClassifier
from lightning_ecinn.cli.main import main
from lightning_ecinn.metrics import rank_correlation

KEYS = ["slant", "thickness", "height", "width", "ink"]


def test_digits_survive_and_other_labels_stay(evaluate, models):
    words = [
        f"--other_oracles.parity={models['other']}",
        "--alphas=[convincing]",
        "--deletion=0",
        "--told_apart=0",
        "--pages=false",
    ]
    folder = evaluate("--trainer.logger=false", *words).run_folder
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["settings"]["survival"] is True
    assert found["settings"]["other_oracles"] == {"parity": models["other"]}
    rows = [row for row in rows_of(folder) if row["defined"] == "1" and row["already"] == "0"]
    kept = np.mean([float(row["answer_kept_of_parity"]) for row in rows])
    measures = found["measures"]["convincing"]
    assert measures["answer_kept_of_parity"]["value"] == pytest.approx(kept)
    assert measures["label_variation_of_parity"]["low"] >= 0
    assert "label_variation" not in measures
    survived = found["survival"]["convincing"]
    assert list(survived) == KEYS
    pairs = torch.tensor([10 * int(row["source"]) + int(row["target"]) for row in rows])
    a, b = (torch.tensor([float(row[f"ink_{k}"]) for row in rows]) for k in ("before", "after"))
    ink = survived["ink"]["counterfactual"]
    assert ink["value"] == pytest.approx(rank_correlation(a, b, pairs), abs=1e-6)
    assert ink["low"] <= ink["value"] <= ink["high"]
    assert ink["count"] + ink["left_out"] == len(rows)
    with (folder / "evaluation.csv").open() as file:
        lines = {line["measure"]: line["value"] for line in csv.DictReader(file)}
    assert float(lines["survival_ink"]) == pytest.approx(ink["value"])
    assert "survival_ink_of_random" in lines
    markdown = (folder / "evaluation.md").read_text()
    assert "what survives, step convincing" in markdown
    assert "LVS of another label, parity, nats (low is right)" in markdown
    assert found["directions"] == {}


def test_it_can_be_left_out(evaluate):
    words = [
        "--survival=false",
        "--alphas=[convincing]",
        "--deletion=0",
        "--told_apart=0",
        "--pages=false",
        "--count=5",
    ]
    folder = evaluate("--trainer.logger=false", *words).run_folder
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["survival"] == {}
    assert "ink_before" not in rows_of(folder)[0]
    assert "what survives" not in (folder / "evaluation.md").read_text()


@pytest.fixture(name="faces")
def make_faces(tmp_path):
    """Words that evaluate an untrained flow of drawn faces, whose means are those of the faces."""
    drawn = DrawnFaces("Smiling", num_train=24, num_test=16, val_size=4, resolution=16)
    torch.manual_seed(0)
    small = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_width": 8}
    flow = GenerativeClassifier((3, 16, 16), 2, class_names=drawn.class_names, **small).eval()
    give_means(flow, drawn.dataset("test"))
    lipstick = ConvNetwork((3, 16, 16), 2, widths=(4,))
    (tmp_path / "faces.yaml").write_text(
        "trainer: {accelerator: cpu, logger: false, enable_progress_bar: false}\n"
        "model: {class_path: IBINN, init_args: {blocks: [1, 1], widths: [4, 4], dropouts: [0, 0], "
        "fc_width: 8}}\n"
        "data: {class_path: DrawnFaces, init_args: {attribute: Smiling, num_train: 24, "
        "num_test: 16, val_size: 4, resolution: 16}}\n"
    )
    ckpt = save(flow, tmp_path / "faces.ckpt", "classifier")
    oracle = save(lipstick, tmp_path / "lipstick.ckpt", "network")
    settings = [f"--ckpt_path={ckpt}", "--bootstrap=10", "--deletion=0", "--told_apart=0"]
    settings += ["--pages=false"]
    return ["evaluate", f"--config={tmp_path}/faces.yaml", *settings], oracle


def test_two_classes_have_both_directions(faces, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, oracle = faces
    folder = main(
        [*words, "--alphas=[convincing]", f"--other_oracles.lipstick={oracle}"]
    ).run_folder
    found = json.loads((folder / "evaluation.json").read_text())
    assert len(found["directions"]) == 2
    rows = [row for row in rows_of(folder) if row["defined"] == "1" and row["already"] == "0"]
    for p, (name, one) in enumerate(found["directions"].items()):
        mine = [row for row in rows if row["source"] == str(p)]
        counts, measures = one["counts"]["convincing"], one["measures"]["convincing"]
        assert counts["exist"] == len(mine) > 0
        for key in ("l1", "heatmap_mass", "label_variation_of_lipstick"):
            mean = np.mean([float(row[key]) for row in mine])
            assert measures[key]["value"] == pytest.approx(mean), key
        assert f"| {name} | convincing |" in (folder / "evaluation.md").read_text()
    assert found["survival"] == {}, "colours"


def test_mistakes_give_one_sentence(faces, evaluate, models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, _ = faces
    with pytest.raises(SystemExit):
        main([*words, "--survival=true"])
    assert "--survival true is for pictures with one channel, but" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate(f"--other_oracles.hair={models['colour']}")
    said = capsys.readouterr().err
    assert "--other_oracles.hair" in said
    assert "is for images (3, 28, 28), but the classifier's are (1, 28, 28)" in said
