"""The subcommand that measures counterfactuals."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evaluating import data, make_evaluate, make_models, rows_of  # noqa: F401 (fixtures)

from lightning_ecinn.cli.main import main
from lightning_ecinn.commands import evaluation_pages
from lightning_ecinn.commands.evaluation_data import EvaluationData

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_everything_is_measured_and_written(evaluate, models, capsys, caplog):
    judges = [f"--{name}={models[name]}" for name in ("oracle", "autoencoders")]
    cli = evaluate("--alphas", "tipping", "convincing", "star", "0.5", "--count=20", *judges)
    folder = cli.run_folder
    found = json.loads((folder / "evaluation.json").read_text())
    rows = rows_of(folder)
    steps = ["tipping", "convincing", "star", "0.5"]
    assert list(found["measures"]) == steps
    assert len(rows) == 20 * 4
    assert found["settings"]["convincing_step"] == [0.9, 0.25], "the checkpoint's"
    assert found["settings"]["targets"] == "random"
    for step in steps:
        mine = [row for row in rows if row["step"] == step]
        assert [int(row["index"]) for row in mine] == list(range(20))
        assert all(row["target"] != row["label"] for row in mine)
        exist = [r for r in mine if r["defined"] == "1" and r["already"] == "0"]
        measures = found["measures"][step]
        assert measures["en"]["count"] == len(exist) == found["counts"][step]["exist"] > 0
        for name in ("validity", "en", "im1", "label_variation", "oracle_agreement", "plausible"):
            mean = np.mean([float(row[name]) for row in exist])
            assert measures[name]["value"] == pytest.approx(mean), name
            assert measures[name]["low"] <= measures[name]["value"] <= measures[name]["high"]
        assert {"fid", "seconds", "forward_evaluations", "holds"} <= set(measures)
        assert measures["third_class"]["value"] <= 1
    alpha = {row["step"]: float(row["alpha"]) for row in rows if row["index"] == "0"}
    assert alpha["convincing"] == pytest.approx(0.9 + 0.25 * alpha["tipping"], rel=1e-5)
    assert alpha["0.5"] == 0.5

    out = capsys.readouterr().out
    assert "Counterfactuals of 20 test images" in out
    assert "convincing_step is [0.9, 0.25] as in the checkpoint" in caplog.text
    assert "--oracle" not in out
    assert f"This run lies in {folder}" in out
    markdown = (folder / "evaluation.md").read_text()
    assert "| validity, % |" in markdown
    with (folder / "evaluation.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["step"] for line in lines} == set(steps)
    assert (folder / "config.yaml").stat().st_size
    assert "evaluation/tipping/en" in (folder / "metrics.csv").read_text()
    assert list(folder.glob("wandb/**/evaluation*.table.json"))
    assert not list(folder.glob("*.npz"))
    names = {path.stem.removeprefix("evaluation-") for path in folder.glob("pictures/*.png")}
    assert {"alpha", "cosines", "posterior", "deletion", "insertion"} <= names
    assert {f"validity-{step}" for step in steps} <= names
    assert {f"examples-{step}" for step in steps} <= names


def test_all_targets_of_pictures_from_a_file(evaluate, bars, tmp_path, capsys):
    images = data(bars).dataset("test").images[:5, 0].numpy()
    np.savez(tmp_path / "mine.npz", images=images, labels=np.zeros(5, np.int8))
    words = ["--data=FakeMNIST", f"--images={tmp_path}/mine.npz", "--targets=all"]
    words += ["--alphas=[convincing]", "--deletion=0", "--trainer.logger=false"]
    cli = evaluate(*words)
    rows = rows_of(cli.run_folder)
    assert len(rows) == 5 * 9, "every class but the predicted one"
    assert all(row["source"] != row["target"] for row in rows)
    assert all(row["label"] == "0" for row in rows)
    assert all(0 <= float(row["heatmap_mass"]) <= 1 for row in rows)
    assert {"heatmap_pointing", "heatmap_rank"} <= set(rows[0])
    out = capsys.readouterr().out
    assert "Without --oracle CKPT there is no FID" in out
    assert "autoencoders_mnist.yaml" in out
    assert not list(cli.run_folder.glob("pictures/*deletion*"))
    again = evaluate(*words, f"--trainer.default_root_dir={cli.run_folder}")
    assert again.run_folder != cli.run_folder
    assert rows_of(again.run_folder) == rows


def test_targets_from_a_file_and_an_oracle_of_other_classes(evaluate, models, tmp_path, capsys):
    """The 60 bars are classified as what they are; the file believes otherwise of the first."""
    labels = np.arange(60) % 10
    source = labels.copy()
    source[0] = 5
    np.savez(tmp_path / "t.npz", target=(labels + 1) % 10, source=source)
    cli = evaluate(
        f"--targets={tmp_path}/t.npz", "--alphas=[tipping]", "--deletion=0", "--count=30",
        f"--oracle={models['other']}", "--truncation=0.5", "--trainer.logger=false",
    )  # fmt: skip
    rows = rows_of(cli.run_folder)
    assert [int(row["target"]) for row in rows] == ((labels[:30] + 1) % 10).tolist()
    found = json.loads((cli.run_folder / "evaluation.json").read_text())
    assert found["settings"]["truncation"] == 0.5
    assert "oracle_agreement" not in found["measures"]["tipping"]
    assert "label_variation" in found["measures"]["tipping"]
    out = capsys.readouterr().out
    assert "29 of 30 images are classified as the source in the file" in out
    assert "The oracle knows other classes (0, 1)" in out


def test_mixed_precision_changes_nothing(evaluate, models, tmp_path):
    judges = [f"--{name}={models[name]}" for name in ("oracle", "autoencoders")]
    found = []
    for precision in ("32-true", "bf16-mixed"):
        root = tmp_path / precision
        given = ["--count=5", "--alphas", "convincing", f"--trainer.default_root_dir={root}"]
        evaluate(*given, *judges, f"--trainer.precision={precision}", "--trainer.logger=false")
        found.append(rows_of(root))
    assert found[0] == found[1]


@pytest.mark.parametrize("world", [1, 2, 5])
def test_batches_are_the_same_under_any_number_of_processes(bars, world):
    def batches(rank, world):
        parts = EvaluationData(data(bars), targets="all", count=7, batch_size=16)
        parts.trainer = SimpleNamespace(global_rank=rank, world_size=world)
        parts.setup("predict")
        return list(parts.predict_dataloader())

    alone = batches(0, 1)
    shared = [batches(rank, world) for rank in range(world)]
    assert sum(map(len, shared)) == len(alone) == 5
    for number, batch in enumerate(alone):
        other = shared[number % world][number // world]
        assert all(torch.equal(batch[name], other[name]) for name in batch)
    assert torch.equal(torch.cat([b["index"] for b in alone]), torch.arange(70) // 10)
    assert torch.equal(torch.cat([b["target"] for b in alone]), torch.arange(70) % 10)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(models, tiny, tmp_path):
    words = ["evaluate", "--config=smoke.yaml", *tiny, "--bootstrap=20", "--deletion=2"]
    words += [f"--ckpt_path={models['flow']}", f"--oracle={models['oracle']}", "--count=25"]
    words += ["--batch_size=10", "--alphas", "tipping", "certified", "--trainer.logger=false"]
    main([*words, f"--trainer.default_root_dir={tmp_path / 'one'}"])
    two = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.default_root_dir=two"]
    done = subprocess.run(
        [sys.executable, "-m", "lightning_ecinn", *words, *two],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Counterfactuals of 25 test images") == 1
    one, two = (tmp_path / name for name in ("one", "two"))
    assert rows_of(one) == rows_of(two)
    found = [json.loads((folder / "evaluation.json").read_text()) for folder in (one, two)]
    for part in found:
        for measures in part["measures"].values():
            del measures["seconds"]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("words", "ckpt", "message"),
    [
        (["--alphas", "tipping", "halfway"], "flow", "--alphas: there is no step 'halfway'"),
        (["--alphas=[]"], "flow", "--alphas: there are none"),
        (["--targets=nowhere.npz"], "flow", "--targets nowhere.npz: there is no such file"),
        (["--targets=short.npz"], "flow", "target has 3 values, but there are 60 images"),
        (["--images=nowhere.npz"], "flow", "--images nowhere.npz: there is no such file"),
        (["--images=large.npz"], "flow", "but the data's are (1, 28, 28)"),
        (["--images=labels.npz"], "flow", "labels go from 0 to 12, but the classes are 0 to 9"),
        (["--oracle=nowhere.ckpt"], "flow", "nowhere.ckpt"),
        (["--oracle={colour}"], "flow", "is for images (3, 28, 28), but the classifier's are"),
        (["--oracle={flow}"], "flow", "holds a generative classifier"),
        (["--autoencoders=nowhere.npz:mnist"], "flow", "nowhere.npz"),
        (["--truncation=2"], "flow", "truncation is 2"),
        (["--count=0"], "flow", "count is 0; give 1 or more"),
        (["--trainer.limit_predict_batches=0"], "flow", "limit_predict_batches is 0"),
        (["--bootstrap=0"], "flow", "bootstrap is 0; give 1 or more"),
        (
            [],
            "bare",
            "has no class means, so there are no counterfactuals",
        ),
        (["--model=SmallCNN"], "flow", "model.blocks: there is no such setting"),
        (["--trainer.precision=bf16-true"], "flow", "can't be computed in bf16-true"),
    ],
)
def test_mistakes_give_one_sentence(evaluate, models, tmp_path, capsys, words, ckpt, message):
    np.savez(tmp_path / "short.npz", target=[1, 2, 3])
    np.savez(tmp_path / "large.npz", images=np.zeros((2, 32, 32), np.uint8), labels=[0, 1])
    np.savez(tmp_path / "labels.npz", images=np.zeros((2, 28, 28), np.uint8), labels=[0, 12])
    with pytest.raises(SystemExit) as stop:
        evaluate("--trainer.logger=false", *(word.format(**models) for word in words), ckpt=ckpt)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("runs/*/*/evaluation*"))


def test_pages_of_the_best_worst_and_failed_counterfactuals(evaluate, monkeypatch):
    """Of few images each, to all classes, called by what they were to become."""
    monkeypatch.setattr(evaluation_pages, "_IMAGES", 2)
    words = ["--alphas", "tipping", "--count=6", "--pages=true", "--deletion=0"]
    folder = evaluate(*words, "--survival=false").run_folder
    rows = {int(row["index"]): row for row in rows_of(folder)}
    exist = [i for i, row in rows.items() if (row["defined"], row["already"]) == ("1", "0")]
    failed = [i for i in exist if rows[i]["validity"] == "0"]
    for kind, found in {"best": exist, "worst": exist, "failed": failed}.items():
        page = (folder / "pictures" / f"evaluation-{kind}.html").read_text()
        text = page.split('type="application/json">')[1].split("</script>")[0]
        shown = json.loads(text)
        assert "step tipping" in shown["title"]
        assert 1 <= len(shown["images"]) <= 2
        for image in shown["images"]:
            i = int(image["name"].split(":")[0])
            assert i in found
            assert image["name"].endswith(f"{rows[i]['source']} → {rows[i]['target']}")
            assert (image["label"], image["first"]) == (
                int(rows[i]["label"]),
                int(rows[i]["target"]),
            )
            assert len(image["paths"]) == 10
