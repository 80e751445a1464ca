"""`export`: a checkpoint as files, from the command to the table."""

import json

import pytest
import torch
import yaml
from small_flow import classifier

from lightning_ecinn import ConvNetwork
from lightning_ecinn.cli.main import main
from lightning_ecinn.commands import export as command


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A checkpoint of an ordinary network, in the current folder."""
    monkeypatch.chdir(tmp_path)
    model = ConvNetwork((1, 8, 8), 2, ["calm", "happy"], widths=[4]).eval()
    save("net.ckpt", "network", model)
    return model


def save(path, entry, model):
    state = {f"{entry}.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, entry: model.config}, path)


def test_a_table_says_what_was_written(network, tmp_path, capsys):
    main(["export", "--ckpt_path=net.ckpt", "--out=model"])
    said = capsys.readouterr()
    heading, row, last = said.out.splitlines()
    assert heading.split() == ["file", "MB", "greatest", "difference", "from", "the", "model"]
    name, size, difference = row.split()
    assert name == "classifier.pt2"
    assert size == f"{(tmp_path / 'model' / name).stat().st_size / 1e6:.2f}"
    assert float(difference) < 1e-5
    assert last == f"The files lie in {tmp_path / 'model'}"
    assert "warning" not in said.err
    assert yaml.safe_load((tmp_path / "model" / "config.yaml").read_text())["export"] == {
        "ckpt_path": "net.ckpt",
        "out": str(tmp_path / "model"),
        "format": "pt2",
        "dtype": "float32",
        "truncation": None,
    }
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    assert about["checkpoint"] == "net.ckpt"
    assert about["class_names"] == ["calm", "happy"]
    images = torch.rand(4, 1, 8, 8)
    said = torch.export.load("model/classifier.pt2").module()(images)
    with torch.no_grad():
        torch.testing.assert_close(said, network.posterior(images))


def test_what_is_there_stays_and_a_difference_is_said(network, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "_NOTICEABLE", -1.0)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("mine")
    main(["export", "--ckpt_path=net.ckpt", "--out=model", "--dtype=float64"])
    said = capsys.readouterr()
    assert (tmp_path / "model" / "README.md").read_text() == "mine"
    assert said.out.endswith(f"The files lie in {tmp_path / 'model' / 'run-2'}\n")
    assert (tmp_path / "model" / "run-2" / "classifier.pt2").is_file()
    (line,) = [line for line in said.err.splitlines() if line.startswith("warning: ")]
    assert line.startswith("warning: classifier.pt2 differs from the model by more than -1: ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "the following arguments are required: --ckpt_path"),
        (["--ckpt_path=nowhere.ckpt"], "nowhere.ckpt: give --ckpt_path a .ckpt file of a run"),
        (["--ckpt_path=pretrained:minst"], "pretrained:minst: there is no such model"),
        (["--ckpt_path=net.ckpt", "--fromat=onnx"], "(did you mean --format?)"),
        (["--ckpt_path=net.ckpt", "--format=pt"], "invalid choice: 'pt'"),
        (["--ckpt_path=net.ckpt", "--truncation=2"], "truncation is 2.0; give a number from"),
        (["--ckpt_path=net.ckpt", "--truncation=0.5"], "an ordinary network, which has none"),
        (
            ["--ckpt_path=net.ckpt", "--format=onnx", "--dtype=float64"],
            "onnxruntime has no convolutions in float64: export to ONNX in float32",
        ),
        (["--ckpt_path=bare.ckpt"], "means --ckpt_path bare.ckpt"),
        (["--ckpt_path=net.ckpt", "--out=net.ckpt"], "net.ckpt is a file: give a folder"),
        (["--ckpt_path=net.ckpt", "--out=net.ckpt/x"], "net.ckpt is a file: give a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(network, tmp_path, words, sentence, capsys):
    bare = classifier(blocks=(1,), fc_blocks=0)
    bare.class_counts.zero_()
    save("bare.ckpt", "classifier", bare)
    with pytest.raises(SystemExit) as stop:
        main(["export", *words])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
    assert {path.name for path in tmp_path.iterdir()} == {"net.ckpt", "bare.ckpt"}
