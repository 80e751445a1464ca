"""What is answered from known.json: help and mistakes, as the parser itself would."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from answered_ahead import answered_ahead

from lightning_ecinn import shipped
from lightning_ecinn.cli import help as help_texts
from lightning_ecinn.cli.command_line import ECINNCLI
from lightning_ecinn.cli.configuration import add_configuration
from lightning_ecinn.cli.help import command_help
from lightning_ecinn.cli.known import FILE, known
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.mistakes import refuse_mistakes
from lightning_ecinn.cli.schema import make_schema
from lightning_ecinn.cli.words import normalise
from lightning_ecinn.usage import COMMANDS

pytestmark = answered_ahead
EXPERIMENTS = sorted(path.name for path in shipped.FOLDER.glob("*.yaml"))


def test_known_is_what_the_parser_says():
    made = json.loads(json.dumps(make_schema()))
    assert json.loads(FILE.read_text()) == made, "run python tools/write_known.py"


def test_beside_other_versions_only_the_parser_answers(monkeypatch):
    monkeypatch.setattr("lightning_ecinn.cli.known._version", lambda name: "0")
    known.cache_clear()
    try:
        assert command_help(["fit", "--help"]) is None
        refuse_mistakes(["fit", "--config=mnist.yaml", "--model.betta=1"])
    finally:
        known.cache_clear()


def test_nothing_slow_is_imported_for_help_and_mistakes(tmp_path):
    code = """
import sys
from lightning_ecinn.cli.main import main
for words in (["fit", "--help"], ["evaluate", "-h"], ["explain", "--help"], ["fit"],
              ["fit", "--config", "mnist.yaml", "--model.betta", "1"],
              ["explain", "--ckpt_path", "nowhere.ckpt", "x.png"],
              ["export", "--help"], ["export", "--ckpt_path", "nowhere.ckpt"],
              ["sweep", "--help"], ["sweep", "--config", "mnist.yaml", "--model.betta", "1", "2"],
              ["figures", "--help"], ["figures", "--figure", "5"],
              ["predict", "--ckpt_path", "nowhere.ckpt"]):
    try:
        main(words)
    except SystemExit:
        pass
slow = {"torch", "pytorch_lightning", "captum", "matplotlib", "wandb", "torchvision", "numpy"}
assert not slow & set(sys.modules), slow & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


@pytest.mark.parametrize(
    "command", sorted({*COMMANDS} - {"explain", "export", "schema", "sweep", "workspace"})
)
def test_help_of_every_command(command):
    said = command_help(normalise([command, "--help"]))
    assert said.startswith(f"usage: python -m lightning_ecinn {command} ")
    assert said.index("--config FILE") < said.index("--trainer.max_epochs")
    assert max(map(len, said.splitlines())) <= 100
    for name in known()["x-commands"][command.replace("-", "_")]:
        assert f"--{name}" in said


@pytest.mark.parametrize("command", help_texts._ABOUT)
def test_what_help_shows_to_start_with_is_no_mistake(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ckpt", "b.ckpt", "model.pt"):
        (tmp_path / name).touch()
    for example in help_texts._ABOUT[command][1]:
        refuse_mistakes(normalise(example.split()))


def test_help_of_a_class(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--data.help", "MNIST"])
    assert "--data.source {sample,full}" in capsys.readouterr().out


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_shipped_experiment_is_a_mistake(name):
    for command in ("fit", "test"):
        refuse_mistakes([command, f"--config={name}"])


MISTAKES = [
    (["--model.betta=1"], "model.betta: there is no such setting (did you mean beta?)"),
    (["--model.optimizer=adm"], "['sgd', 'adam', 'adamw']. Got value: adm (did you mean adam?)"),
    (["--trainr.max_epochs=1"], "unrecognized arguments: --trainr.max_epochs=1 (did you mean --tr"),
    (["--cofig=x.yaml"], "(did you mean --config?)"),
    (["--data=Mnist"], "data: there is no class Mnist (did you mean MNIST?)"),
    (["--trainer.callbacks=ClassSample"], "no class ClassSample (did you mean ClassSamples?)"),
    (["mnist"], "unrecognized arguments: mnist"),
]
IN_FILES = [
    ("trainer:", "trainr:", "trainr: there is no such setting (did you mean trainer?)"),
    ("max_epochs", "max_epoch", "trainer.max_epoch: there is no such setting (did you mean train"),
    ("class_path: IBINN", "class_path: Ibinn", "there is no class Ibinn (did you mean IBINN?)"),
    ("class_path: MNIST", "class_path: lightning_ecinn.Mnist", "(did you mean lightning_ecinn.MN"),
    ("every_n_epochs", "every_n_epoch", "trainer.callbacks.every_n_epoch: there is no such"),
    ("optimizer: sgd", "optimizer: adm", "Got value: adm (did you mean adam?)"),
    ("one_image", "one_imag", "(did you mean one_image?)"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_a_mistake_is_one_for_the_parser_too(words, said):
    words = normalise(["fit", "--config=mnist.yaml", *words])
    with pytest.raises(ValueError, match=re.escape(said)):
        refuse_mistakes(words)
    with pytest.raises((ValueError, SystemExit)):
        ECINNCLI(add_configuration(words))


@pytest.mark.parametrize(("old", "new", "said"), IN_FILES)
def test_a_mistake_in_a_file_names_it(old, new, said, tmp_path):
    text = (shipped.FOLDER / "mnist.yaml").read_text()
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new, 1))
    words = ["fit", f"--config={tmp_path / 'mine.yaml'}"]
    with pytest.raises(ValueError, match=re.escape(said) + r".* \(in mine.yaml\)$"):
        refuse_mistakes(words)
    with pytest.raises((ValueError, SystemExit)):
        ECINNCLI(add_configuration(words))


def test_what_is_the_users_own_is_left_to_the_parser(tmp_path):
    own = {"class_path": "mine.Data", "init_args": {"anything": 1}}
    text = yaml.safe_dump({"data": own, "model": {"class_path": "mine.Net", "init_args": {"x": 1}}})
    (tmp_path / "own.yaml").write_text(text)
    config = f"--config={tmp_path / 'own.yaml'}"
    refuse_mistakes(["fit", config, "--data.anything=2", "--model.x=3"])
    refuse_mistakes(["fit", "--config=mnist.yaml", "--trainer.max_ep=1", "--model.step=[1,2]"])
    refuse_mistakes(["fit", "--config=mnist.yaml", "--trainer.logger.save_dir=x"])
