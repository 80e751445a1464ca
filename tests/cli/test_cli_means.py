"""The subcommands that make a checkpoint able to explain: means, import-ibinn."""

import os
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from disk import full_disk
from published import published

from lightning_ecinn import IBINN, Explainer, GenerativeClassifier
from lightning_ecinn.cli.main import main
from lightning_ecinn.commands.means import find_free_file, save_module
from lightning_ecinn.whole_files import WriteError

SMALL = {"blocks": [1, 1], "widths": [6, 8], "dropouts": [0, 0.25], "fc_width": 16}
DATA = ["--config=smoke.yaml", "--trainer.limit_val_batches=1", "--data.val_size=28000"]


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A checkpoint of the published code's kind, in the current folder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    classifier = GenerativeClassifier((1, 28, 28), 10, **SMALL)
    torch.save(published(classifier), "model.pt")
    return classifier


def test_a_published_checkpoint_becomes_one_of_ours(theirs, tmp_path):
    main(["import-ibinn", "model.pt", *DATA, "--out=imported.ckpt"])
    explainer = Explainer.from_checkpoint("imported.ckpt")
    assert explainer.classifier.config["blocks"] == [1, 1]
    assert explainer.classifier.class_counts.sum() == 2000
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    ours, _ = explainer.encode(images)
    torch.testing.assert_close(ours, theirs.eval().encode(images)[0])
    with pytest.raises(SystemExit):  # nothing is overwritten
        main(["import-ibinn", "model.pt", *DATA, "--out=imported.ckpt"])


def test_without_means_then_with(theirs):
    main(["import-ibinn", "model.pt", *DATA, "--no-means", "--out=bare.ckpt"])
    assert Explainer.from_checkpoint("bare.ckpt").classifier.class_counts.sum() == 0
    main(["means", *DATA, "--ckpt_path=bare.ckpt", "--out=full.ckpt"])
    full = Explainer.from_checkpoint("full.ckpt").classifier
    assert full.class_counts.sum() == 2000
    before = Explainer.from_checkpoint("bare.ckpt").classifier.state_dict()
    for key, value in full.state_dict().items():
        if not key.startswith(("class_", "log_prob_quantiles")):
            assert torch.equal(value, before[key]), key
    assert Path("full.ckpt").is_file()


def test_what_a_checkpoint_was_trained_with_stays(theirs, caplog):
    """A sweep's models would all become those of the configuration's beta."""
    train = ["--model.beta=3", "--model.realism=0.5", "--model.closeness=2"]
    main(["import-ibinn", "model.pt", *DATA, *train, "--no-means", "--out=bare.ckpt"])
    other = ["--model.beta=9", "--model.closeness=0", "--model.realism=0"]
    main(["means", *DATA, *other, "--ckpt_path=bare.ckpt", "--out=full.ckpt"])
    assert (
        "The checkpoint was trained with beta 3.0 (not 9.0), realism 0.5 (not 0.0), closeness 2.0 "
        "(not 0.0); that stays." in caplog.text
    )
    caplog.clear()
    kept = torch.load("full.ckpt", weights_only=True)["hyper_parameters"]
    beside = yaml.safe_load(Path("full.config.yaml").read_text())["model"]["init_args"]
    for settings in (kept, beside):
        assert [settings[key] for key in ("beta", "realism", "closeness")] == [3, 0.5, 2]
    main(["test", "--ckpt_path=full.ckpt", "--trainer.limit_test_batches=1"])
    assert "was trained with" not in caplog.text


def test_without_means_nothing_pretends(theirs, capsys):
    main(["import-ibinn", "model.pt", *DATA, "--no-means", "--out=bare.ckpt"])
    with pytest.raises(SystemExit):
        main(["predict", *DATA, "--ckpt_path=bare.ckpt"])
    error = capsys.readouterr().err
    assert "has no class means, so there are no counterfactuals: build them with `means`" in error
    assert not list(Path("runs").glob("**/counterfactuals.npz"))
    cli = main(["test", *DATA, "--ckpt_path=bare.ckpt", "--trainer.callbacks=null"])
    error = capsys.readouterr().err
    assert "validity is left out without a mean of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9: `means`" in error
    assert "test/validity" not in cli.metrics.latest


def test_a_network_for_other_images_is_refused(theirs, capsys):
    torch.manual_seed(0)
    torch.save(published(GenerativeClassifier((1, 12, 12), 4, **SMALL)), "other.pt")
    with pytest.raises(SystemExit):
        main(["import-ibinn", "other.pt", *DATA])
    assert "image_shape [1, 12, 12], but the data's is [1, 28, 28]" in capsys.readouterr().err


def test_a_missing_file_gives_one_sentence(capsys):
    with pytest.raises(SystemExit):
        main(["import-ibinn", "nowhere.pt", *DATA])
    error = capsys.readouterr().err
    assert "No checkpoint at" in error
    assert "Traceback" not in error


@pytest.fixture
def trainer(tmp_path):
    """A trainer in a run's folder with a configuration."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("experiment: tiny\n")
    return pl.Trainer(default_root_dir=folder, logger=False, accelerator="cpu")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("folder.ckpt", "this is a folder. Give the name of a new file in it."),
        ("file.ckpt", "this file exists already. Give another name."),
        ("file.ckpt/new.ckpt", "file.ckpt is a file, not a folder. Give another name."),
        ("new", "give a name that ends in .ckpt, as checkpoints have."),
        ("folder.ckpt/new/new.ckpt", "folder.ckpt. Give another folder."),
    ],
)
def test_a_place_that_will_not_do_is_said_at_once(trainer, tmp_path, monkeypatch, out, message):
    (tmp_path / "folder.ckpt").mkdir()
    (tmp_path / "file.ckpt").write_text("somebody's")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "folder.ckpt")
    with pytest.raises(ValueError, match="--out ") as error:
        find_free_file(trainer, str(tmp_path / out))
    assert str(error.value).endswith(message)


def test_a_full_disk_leaves_nothing_and_the_second_try_succeeds(trainer, tmp_path):
    model, out = IBINN((1, 8, 8), 3, blocks=[1, 1], widths=[4, 4], fc_width=8), tmp_path / "o.ckpt"
    with (
        full_disk(1000),
        pytest.raises(WriteError, match=r"o\.ckpt could not be written: File too"),
    ):
        save_module(trainer, model, find_free_file(trainer, str(out)))
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    save_module(trainer, model, find_free_file(trainer, str(out)))
    Explainer.from_checkpoint(out)
    assert (tmp_path / "o.config.yaml").read_text() == "experiment: tiny\n"


def test_a_configuration_that_can_not_lie_beside_is_said(trainer, tmp_path, monkeypatch):
    model, out = IBINN((1, 8, 8), 3, blocks=[1, 1], widths=[4, 4], fc_width=8), tmp_path / "o.ckpt"
    replace = os.replace

    def refuse(source, target):
        if str(target).endswith(".yaml"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match=r"o\.config\.yaml could not be written: No space left"):
        save_module(trainer, model, out)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "o.ckpt"}
