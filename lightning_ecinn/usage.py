"""What ``--help`` says, without importing anything that takes time."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from lightning_ecinn.plain_text import short

__all__ = ["COMMANDS", "answer_at_once", "usage"]

COMMANDS = {
    "fit": "train a model, and build the class means that explain",
    "explain": "counterfactuals of your own picture files",
    "evaluate": "measure counterfactuals over a data set",
    "compare": "heatmaps of several models side by side (Figure 9)",
    "sweep": "a fit for each value of an option, and a table of them",
    "figures": "the paper's figures of a trained model, or of several",
    "validate": "losses and accuracy on the validation images",
    "test": "losses, accuracy and validity on the test images, and the pictures",
    "predict": "counterfactuals of a data split, into one .npz file",
    "means": "build the class means of a checkpoint again",
    "export": "a trained model as files that run without this package (torch.export, ONNX)",
    "workspace": "lay out the pages of a Weights & Biases project for review",
    "import-ibinn": "turn a checkpoint of the published IB-INN code into one of this project",
    "schema": "the JSON schema of configurations, with which editors complete and check them",
}
"""Each subcommand, and what it is for."""

_TEXT = """\
usage: python -m lightning_ecinn COMMAND ...

Counterfactual explanations from invertible classifiers (ECINN): the same picture, changed just
enough to be another class. Trains the classifiers, explains with them, measures and draws.

to start with:
  python -m lightning_ecinn fit --config quickstart.yaml
  python -m lightning_ecinn explain --ckpt_path pretrained:mnist digit.png
  python -m lightning_ecinn fit --config own.yaml --data.root photos.zip --data.csv labels.csv

commands:
{commands}

options:
  -h, --help      this text; COMMAND --help: that command's options
  --version       the version
  --print_shtab   bash, zsh or tcsh: a script with which that shell completes lightning-ecinn

A --config is a YAML file, or the name of a shipped experiment. lightning-ecinn is the same
command as python -m lightning_ecinn.
"""


def usage() -> str:
    """The text of ``--help``."""
    width = max(map(len, COMMANDS))
    lines = (f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items())
    return _TEXT.format(commands="\n".join(lines))


def answer_at_once(words: Sequence[str], version: str) -> tuple[str, int] | None:
    """What is said without doing anything, and the exit status; None: there is something to do.

    Args:
        words: of the command.
        version: of the package.

    Example:
        >>> answer_at_once(["fitt", "--config", "mnist.yaml"], "1.0")
        ('error: there is no command fitt: did you mean fit? --help shows all.', 2)
    """
    if not words or list(words) in (["--help"], ["-h"]):
        return usage().rstrip(), 0 if words else 2
    if list(words) == ["--version"]:
        return f"lightning_ecinn {version}", 0
    command = words[0].replace("_", "-")
    if command.startswith("-") or command in COMMANDS:
        return None
    near = get_close_matches(command, COMMANDS, n=1)
    meant = f"did you mean {near[0]}? --help shows all." if near else "--help shows what there is."
    return f"error: there is no command {short(words[0])}: {meant}", 2
