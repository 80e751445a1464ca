"""What is said at once: help, version, a misspelt command."""

import subprocess
import sys
import time

import pytest

from lightning_ecinn.cli.command_line import ECINNCLI
from lightning_ecinn.usage import COMMANDS, answer_at_once, usage


def run(*words):
    command = [sys.executable, "-X", "importtime", "-m", "lightning_ecinn", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert not imported & {"torch", "numpy", "pytorch_lightning", "matplotlib"}
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    return done.returncode, done.stdout, "\n".join(said)


def test_help_names_every_command():
    assert {name.replace("-", "_") for name in COMMANDS} == {
        *ECINNCLI.subcommands(),
        "explain",
        "export",
        "sweep",
        "workspace",
        "schema",
    }
    for name, purpose in COMMANDS.items():
        assert f"{name} " in usage()
        assert purpose in usage()
    assert max(map(len, usage().splitlines())) <= 100


def test_help_and_version_need_no_imports():
    start = time.monotonic()
    assert run("--help") == (0, usage(), "")
    assert run() == (2, "", usage().rstrip())
    status, said, _ = run("--version")
    assert status == 0
    assert said.startswith("lightning_ecinn ")
    assert time.monotonic() - start < 60  # three processes; a tenth of a second each on idle cores


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fitt"], "there is no command fitt: did you mean fit? --help shows all."),
        (["Explain"], "there is no command Explain: did you mean explain?"),
        (["xyz"], "there is no command xyz: --help shows what there is."),
        (["\x1b[2J"], r"there is no command \x1b[2J"),
    ],
)
def test_a_misspelt_command(words, said):
    text, status = answer_at_once(words, "1")
    assert status == 2
    assert text.startswith(f"error: {said}")


def test_what_is_to_be_done_is_left_to_the_parser():
    for words in (["fit"], ["import_ibinn", "x"], ["fit", "--help"], ["-c", "mnist.yaml"]):
        assert answer_at_once(words, "1") is None
