"""The subcommand that draws the paper's figures of checkpoints."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from answered_ahead import answered_ahead

from lightning_ecinn import MNIST, DrawnFaces, FakeMNIST, GenerativeClassifier
from lightning_ecinn.callbacks.end_of_run import NothingToDrawError
from lightning_ecinn.cli.main import main
from lightning_ecinn.commands.figures import FiguresSettings, _pdf, _take_sample
from lightning_ecinn.commands.paper_figures import DRAWN
from lightning_ecinn.commands.paper_models import PaperModels
from lightning_ecinn.commands.sweep import Sweep
from lightning_ecinn.figures import picture_grid

SMALL = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_width": 8, "init_scale": 1.0}


def texts(figure):
    """All that is written in a figure."""
    found = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return "\n".join(text.get_text() for text in found)


@pytest.fixture(scope="module")
def betas(trained, tmp_path_factory):
    """The same model twice, as those of a sweep over beta."""
    folder = tmp_path_factory.mktemp("betas")
    best = trained.folder / "checkpoints" / "best.ckpt"
    sweep = Sweep(folder, ["--config=smoke.yaml"], {"model.beta": ["2", "0.5", "8"]})
    for run in sweep.runs[:2]:
        content = torch.load(best, weights_only=False)
        content["hyper_parameters"]["beta"] = float(run.values["model.beta"])
        path = folder / run.name / "checkpoints" / "best.ckpt"
        path.parent.mkdir(parents=True)
        torch.save(content, path)
        (path.parent.parent / "config.yaml").write_text(
            (trained.folder / "config.yaml").read_text()
        )
        run.status, run.checkpoint = "finished", str(path.relative_to(folder))
    sweep.runs[2].status = "failed"
    sweep.save()
    return folder


def pages(path):
    return len(re.findall(rb"/Type /Page\b", path.read_bytes()))


def test_all_figures_that_models_can_give(betas, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["figures", f"--sweep={betas}", "--samples=1", "--out=one"])
    out, one = capsys.readouterr().out, tmp_path / "one"
    names = [f"figure-{n}.png" for n in ("10", "5", "6", "7", "9", "S7")]
    assert sorted(path.name for path in one.glob("figure-*.png")) == names
    assert pages(one / "figures.pdf") == 2 * len(names)
    assert "Figure 4 is left out: it needs a model of FakeMNIST, as in --ckpt_path" in out
    assert "Figure 8 is left out: it needs a model of two classes" in out
    assert f"This run lies in {one}" in out
    main(["figures", f"--sweep={betas}", "--samples=0", "--figure", "10", "6", "--out", "one"])
    for name in ("figure-10.png", "figure-6.png"):  # the same again, and nothing is overwritten
        assert (one / "run-2" / name).read_bytes() == (one / name).read_bytes()


def test_the_same_figures_are_the_same_pdf():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        _pdf([picture_grid([[torch.zeros(1, 4, 4)]])], file)
    assert files[0].getvalue() == files[1].getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            [],
            "figures: there is nothing to draw. Give --ckpt_path PATH of a model, or of several",
            marks=answered_ahead,
        ),
        (["--figure", "11", "--config=smoke.yaml", "--ckpt_path=x"], "Expected one of ['3', '4', "),
        (["--sweep=."], "is no folder of a sweep: it has no sweep.json that can be read; give one"),
        (
            ["--ckpt_path", "nowhere.ckpt", "--config=smoke.yaml"],
            "--ckpt_path nowhere.ckpt: there is no such",
        ),
        pytest.param(
            ["--figur=5", "--ckpt_path=x", "--samplse=1"],
            "(did you mean --samples?)",
            marks=answered_ahead,
        ),
    ],
)
def test_a_mistake_is_one_sentence(words, said, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["figures", *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("error:") == 1


def test_where_nothing_can_be_drawn_the_command_fails(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    best = trained.folder / "checkpoints" / "best.ckpt"
    with pytest.raises(SystemExit) as stop:
        main(["figures", "--ckpt_path", str(best), "--figure", "9", "10"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "Figure 9 is left out: it needs a second model" in error
    assert "Figure 10 is left out: it needs models of several betas" in error


def made(data, path, num_classes, beta=None, **changes):
    """A hardly trained model of the data, as a checkpoint."""
    torch.manual_seed(0)
    model = GenerativeClassifier(data.image_shape, num_classes, **{**SMALL, **changes})
    model.class_means.copy_(model.mixture.component_means)
    model.class_counts.fill_(5)
    state = {f"classifier.{name}": value for name, value in model.state_dict().items()}
    content = {"classifier": model.config, "state_dict": state, "hyper_parameters": {"beta": beta}}
    torch.save(content, path)
    return str(path)


def models(data, *paths):
    for stage in ("fit", "test"):
        data.setup(stage)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer = SimpleNamespace(datamodule=data, strategy=strategy, is_global_zero=True)
    trainer.default_root_dir = "."
    return PaperModels(trainer, paths, "test")


def test_faces_have_a_figure_of_both_directions(tmp_path):
    data = DrawnFaces("Smiling", num_train=20, num_test=30, val_size=4, resolution=16)
    faces = models(data, made(data, tmp_path / "faces.ckpt", 2))
    figure = DRAWN["8"](faces, 0, 0, "Figure 8")
    assert len(figure.axes) % 3 == 0
    assert "Figure 8; below each picture: p(target)" in texts(figure)
    for number, reason in (("3", "FakeMNIST"), ("5", "three classes or more"), ("10", "betas")):
        with pytest.raises(NothingToDrawError, match=reason):
            DRAWN[number](faces, 0, 0, "")


def test_fake_mnist_shows_one_image_of_each_class(tmp_path):
    data = FakeMNIST(source="sample")
    fake = models(data, made(data, tmp_path / "fake.ckpt", 10))
    figure = DRAWN["3"](fake, 0, 0, "Figure 3")
    assert len(figure.axes) == 10
    assert "y = 9" in texts(figure)
    assert figure.axes[0].images[0].get_array().shape[1] > 280  # with the corner beside it


def test_figure_9_asks_all_models_the_same_question(betas, bars):
    data = MNIST(root=str(bars), val_size=20)
    paths = [str(path) for path in sorted(betas.glob("*/checkpoints/best.ckpt"))]
    both = models(data, *paths)
    written = texts(DRAWN["9"](both, 0, 0, ""))
    assert "smoke, β = 0.5" in written
    said = re.findall(r"\d → \d", written)
    assert len(said) == 2
    assert said[0] == said[1]


def test_figure_10_orders_betas_and_says_accuracies(betas, bars):
    data = MNIST(root=str(bars), val_size=20)
    paths = [str(betas / f"beta={beta}" / "checkpoints" / "best.ckpt") for beta in ("2", "0.5")]
    figure = DRAWN["10"](models(data, *paths), 0, 0, "Figure 10")
    said = texts(figure)
    assert said.index("β = 0.5\n") < said.index("β = 2\n")
    assert "% correct" in said
    assert len(figure.axes) == 3


def test_a_model_of_other_images_is_refused(tmp_path):
    data = DrawnFaces("Smiling", num_train=8, num_test=4, val_size=2, resolution=16)
    with pytest.raises(ValueError, match="is a model of other images or classes than the data's"):
        models(data, made(data, tmp_path / "three.ckpt", 3))


def test_the_sample_is_taken_where_nobody_said_where_mnist_lies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = FakeMNIST()
    _take_sample(data)
    assert data.source == "sample"
    assert "the images are of the sample in the package" in capsys.readouterr().out
    elsewhere = FakeMNIST(root="elsewhere")
    _take_sample(elsewhere)
    assert elsewhere.source == "full"


def test_figures_of_the_supplement_are_those_of_the_paper(tmp_path, monkeypatch, betas):
    asked = FiguresSettings(ckpt_path=["x"], figure=["S8", "10", "S9", "S7"])
    assert asked.numbers == ["S8", "S9", "S7"]  # named as they were asked for, and drawn once
    assert asked.repeated == ["Figure 10 shows what Figure S8 does: drawn once, as Figure S8."]
    assert FiguresSettings(ckpt_path=["x"]).repeated == []
    monkeypatch.chdir(tmp_path)
    main(["figures", f"--sweep={betas}", "--samples=0", "--figure=S8", "--out=one"])
    assert [path.name for path in Path("one").glob("figure-*.png")] == ["figure-S8.png"]
    assert FiguresSettings(ckpt_path=["x"]).numbers == [
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "10",
        "S7",
    ]
    assert {*DRAWN} == {*FiguresSettings(ckpt_path=["x"]).numbers}
