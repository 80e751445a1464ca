"""`explain`: people's own picture files, from the command to the folder of results."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageOps

from lightning_ecinn import MNIST, Explainer, shipped
from lightning_ecinn.cli.main import main

MODEL = "--ckpt_path=pretrained:mnist"
NO_PAGE = "--no-page"


@pytest.fixture(scope="module")
def explainer():
    return Explainer.from_checkpoint("pretrained:mnist")


@pytest.fixture(scope="module")
def digits():
    """Some digits: 7, 2, 1."""
    return MNIST(source="sample").dataset("test").images[:3]


@pytest.fixture
def folder(digits, tmp_path, monkeypatch):
    """Pictures in files of several kinds, one of them broken."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "photos"
    (place / "more").mkdir(parents=True)
    pictures = [Image.fromarray(digit[0].numpy()) for digit in digits]
    pictures[0].save(place / "seven.png")
    pictures[1].convert("RGB").save(place / "two.bmp")
    pictures[2].save(place / "more" / "one.tif")
    return place


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_by_default_the_runner_up(folder, explainer, digits, capsys):
    main(["explain", MODEL, str(folder), "--out=found"])
    out = folder.parent / "found"
    rows = results(out)["counterfactuals"]
    assert [row["picture"] for row in rows] == ["one.tif"] * 2 + ["seven.png"] * 2 + ["two.bmp"] * 2
    images = digits[[2, 0, 1]]
    second = explainer.posterior(images).argsort(1)[:, -2]
    expected = explainer.explain_steps(images, second)
    for k, cf in enumerate(expected):
        for i, row in enumerate(rows[k::2]):
            assert row["target"] == str(int(second[i]))
            assert row["alpha"] == pytest.approx(float(cf.alpha[i]), abs=1e-5)
            pixels = torch.from_numpy(np.asarray(Image.open(out / row["file"])).copy())
            assert (pixels - (cf.image_8bit[i, 0] * 255).round()).abs().max() <= 1
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[:3]] == ["one.tif", "seven.png", "two.bmp"]
    assert said[3] == f"The results lie in {out}"
    assert len(list(out.glob("*-panel.png"))) == 3
    page = (out / "index.html").read_text()
    assert "seven.png" in page
    assert len(page) < 3e6
    assert yaml.safe_load((out / "config.yaml").read_text())["explain"]["target"] == ["runner-up"]


def test_targets_by_name_and_number_and_all(folder):
    picture = str(folder / "seven.png")
    main(["explain", MODEL, NO_PAGE, picture, "--target", "3", "9", "--alphas", "1.1", "--out=two"])
    rows = results(folder.parent / "two")["counterfactuals"]
    assert [(row["target"], row["step"]) for row in rows] == [("3", "1.1"), ("9", "1.1")]
    assert all(row["alpha"] == pytest.approx(1.1) for row in rows)
    main(["explain", MODEL, NO_PAGE, picture, "--target=all", "--alphas=star", "--out=all"])
    rows = results(folder.parent / "all")["counterfactuals"]
    assert [row["target"] for row in rows] == [str(k) for k in range(10) if k != 7]


def test_the_paths_settings_are_the_commands(folder, explainer, digits):
    options = ["--truncation=0.5", "--convincing_step", "0.9", "0.4", "--target=4"]
    main(
        [
            "explain",
            MODEL,
            NO_PAGE,
            str(folder / "seven.png"),
            *options,
            "--alphas=convincing",
            "--out=x",
        ]
    )
    (row,) = results(folder.parent / "x")["counterfactuals"]
    other = Explainer(explainer.classifier, truncation=0.5, convincing_step=(0.9, 0.4))
    assert row["alpha"] == pytest.approx(float(other.explain(digits[:1], 4).alpha), abs=1e-5)


def test_what_cannot_be_read_is_named_and_the_rest_is_done(folder, capsys):
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as stop:
        main(["explain", MODEL, str(folder), NO_PAGE, "--out=rest"])
    assert stop.value.code == 1
    found = results(folder.parent / "rest")
    assert len(found["counterfactuals"]) == 6
    assert len(found["unreadable"]) == 1
    said = capsys.readouterr().err
    assert f"left out: The picture {folder / 'broken.png'} cannot be read: " in said
    assert said.endswith("1 picture could not be read, see above.\n")
    for path in folder.rglob("*.*"):
        if path.is_file() and path.name != "broken.png":
            path.unlink()
    with pytest.raises(SystemExit):
        main(["explain", MODEL, NO_PAGE, str(folder), "--out=nothing"])
    assert results(folder.parent / "nothing")["counterfactuals"] == []


def test_ink_on_paper_is_noticed_and_can_be_inverted(folder, digits, capsys):
    path = folder / "ink.png"
    ImageOps.invert(Image.fromarray(digits[0, 0].numpy())).save(path)
    main(["explain", MODEL, NO_PAGE, str(path), str(folder / "seven.png"), "--out=ink"])
    (note,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert note.startswith("note: ink.png is unlike the training images, and its negative much")
    assert note.endswith("--invert explains negatives.")
    main(["explain", MODEL, NO_PAGE, str(path), "--invert", "--out=inverted"])
    assert "note:" not in capsys.readouterr().err
    rows, both = (results(folder.parent / name)["counterfactuals"] for name in ("inverted", "ink"))
    assert rows[-1]["alpha"] == pytest.approx(both[-1]["alpha"], abs=1e-5)
    main(["explain", "--ckpt_path=pretrained:mnist_small", NO_PAGE, str(path), "--out=small"])
    assert "note: ink.png is unlike" in capsys.readouterr().err


def test_nothing_is_overwritten(folder):
    words = ["explain", MODEL, NO_PAGE, str(folder / "seven.png"), "--out=again"]
    main(words)
    before = {path: path.read_bytes() for path in (folder.parent / "again").iterdir()}
    main(words)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert results(folder.parent / "again" / "run-2")["counterfactuals"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["photos", "--target=12"], "--target 12 is no class of 10: give one of 0, 1, 2, "),
        (["photos", "--target=cat"], "--target cat is no class of 10: give one of 0, 1, 2, "),
        (["missing.png"], "There is no file and no folder missing.png."),
        (["photos/more/empty"], "The folder photos/more/empty holds no picture: names of"),
        ([], "the following arguments are required: PICTURE"),
        (["photos", "--alphas=far"], "far"),
        (["photos", "--truncation=2"], "truncation is 2.0; give a number from 0 to 1."),
        (["photos", "--truncation=much"], "argument --truncation: invalid float value: 'much'"),
        (["photos", "--device=abacus"], "abacus"),
        (["photos", "--ckpt_path=nothing.ckpt"], "nothing.ckpt"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(folder, words, sentence, capsys):
    (folder / "more" / "empty").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["explain", MODEL, NO_PAGE, *words])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
    assert not (folder.parent / "runs").exists()


def test_a_checkpoint_without_class_means_says_how_to_build_them(folder, tmp_path, capsys):
    content = torch.load(shipped.resolve("pretrained:mnist_small"), weights_only=True)
    content["state_dict"]["classifier.class_counts"].zero_()
    torch.save(content, tmp_path / "bare.ckpt")
    with pytest.raises(SystemExit):
        main(["explain", f"--ckpt_path={tmp_path / 'bare.ckpt'}", str(folder)])
    assert "has no class means yet" in capsys.readouterr().err
