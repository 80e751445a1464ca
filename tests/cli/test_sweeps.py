"""Sweeps that ship: what W&B's agent makes of them is a command that we understand."""

import itertools

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from lightning_ecinn import shipped
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.words import PROGRAM

SWEEPS = sorted(shipped.FOLDER.glob("sweeps/*.yaml"))


def values(parameter):
    """All that are listed, or both ends of a range, as W&B hands them out."""
    return parameter.get("values") or [parameter["min"], parameter["max"]]


def commands(sweep):
    """The words of each run, and its parameters, as `wandb agent` puts them together."""
    names = list(sweep["parameters"])
    for chosen in itertools.product(*map(values, sweep["parameters"].values())):
        args = {name: {"value": value} for name, value in zip(names, chosen, strict=True)}
        filled = create_sweep_command_args({"args": args})
        filled |= {"env": ["/usr/bin/env"], "program": [sweep["program"]]}
        words = []
        for word in map(str, create_sweep_command([*sweep["command"]])):
            is_macro = word.startswith("${") and word.endswith("}")
            words += filled[word[2:-1]] if is_macro else [word]
        yield words, dict(zip(names, chosen, strict=True))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_command_of_every_run_is_understood(path, capsys):
    found = list(commands(yaml.safe_load(path.read_text())))
    assert len(found) > 1
    for words, chosen in (found[0], found[-1]):
        start = ["/usr/bin/env", *PROGRAM.split()]
        assert words[: len(start)] == start
        with pytest.raises(SystemExit) as caught:
            main([*words[len(start) :], "--print_config"])
        assert not caught.value.code
        config = yaml.safe_load(capsys.readouterr().out)
        for name, value in chosen.items():
            part, key = name.split(".")
            assert config[part]["init_args"][key] == pytest.approx(value)
        assert config["experiment"] == f"sweep_{path.stem}"


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_it_asks_for_what_a_run_has(path):
    sweep = yaml.safe_load(path.read_text())
    metric = sweep["metric"]
    assert (metric["name"], metric["goal"]) in {
        ("val/loss", "minimize"), ("val/accuracy", "maximize")
    }  # fmt: skip
    assert sweep["method"] in ("grid", "random")
    for parameter in sweep["parameters"].values():
        assert ("values" in parameter) != ({"min", "max"} <= {*parameter})


def test_small_numbers_are_numbers(capsys):
    """Python writes 1e-05, which YAML 1.1 takes for a text."""
    flags = create_sweep_command_args({"args": {"model.lr": {"value": 0.00001}}})["args"]
    assert flags == ["--model.lr=1e-05"]
    with pytest.raises(SystemExit):
        main(["fit", "--config=quickstart.yaml", *flags, "--print_config"])
    assert yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["lr"] == 1e-5
