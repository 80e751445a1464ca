"""``COMMAND --help``, from what is known of the parser."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning_ecinn.cli.known import known
from lightning_ecinn.cli.words import PROGRAM, SEVERAL

__all__ = ["choices_of", "classes_of", "command_help", "settings_of"]

_BOOLEAN = ["true", "false"]

_WIDTH, _INDENT = 100, 32

_ABOUT = {
    "fit": (
        "Train a model on a data set, and build the class means that explain.\n"
        "Everything lies in a new folder runs/<experiment>/<time>; nothing is overwritten.",
        (
            "fit --config quickstart.yaml",
            "fit --config mnist.yaml --trainer.max_epochs=5 --model.beta=2",
            "fit --config own.yaml --data.root photos.zip --data.csv labels.csv",
        ),
    ),
    "evaluate": (
        "Measure counterfactuals over a data split, for several steps side by side.\n"
        "A table, the rows behind it and pictures lie in a new folder of runs/.",
        (
            "evaluate --ckpt_path pretrained:mnist",
            "evaluate --ckpt_path best --config mnist.yaml --alphas tipping star",
            "evaluate --ckpt_path pretrained:mnist --split val --count 1000",
        ),
    ),
    "figures": (
        "Draw the paper's figures, as far as a model, or several, can give them: PNG, and one PDF\n"
        "with all of them and further samples. Of the others it is said what they would take.",
        (
            "figures --ckpt_path pretrained:mnist",
            "figures --ckpt_path pretrained:fake_mnist --figure 3 4 --out fake",
            "figures --sweep runs/mnist_small-sweep/<time> --figure 10",
        ),
    ),
    "compare": (
        "Draw heatmaps of several models side by side, and correlate them (Figure 9).\n"
        "The models are those of the checkpoints; the data set is the first one's.",
        (
            "compare --ckpt_path pretrained:mnist cnn/checkpoints/best.ckpt",
            "compare --ckpt_path a.ckpt b.ckpt --names flow CNN",
            "compare --ckpt_path a.ckpt --methods ecinnh saliency",
        ),
    ),
    "validate": (
        "Losses and accuracy on the validation images.\n"
        "A checkpoint is enough: its run's configuration is used, and options change it.",
        (
            "validate --ckpt_path pretrained:mnist",
            "validate --ckpt_path best --config mnist.yaml",
            "validate --ckpt_path pretrained:mnist --trainer.limit_val_batches=5",
        ),
    ),
    "test": (
        "Losses, accuracy and validity on the test images, and the pictures.\n"
        "A checkpoint is enough: its run's configuration is used, and options change it.",
        (
            "test --ckpt_path pretrained:mnist",
            "test --ckpt_path best --config mnist.yaml",
            "test --ckpt_path pretrained:mnist --data.batch_size=64",
        ),
    ),
    "predict": (
        "Counterfactuals of a data split, into one .npz file in the run's folder.\n"
        "A checkpoint is enough: its run's configuration is used, and options change it.",
        (
            "predict --ckpt_path pretrained:mnist",
            "predict --ckpt_path best --config mnist.yaml",
            "predict --ckpt_path pretrained:mnist --counterfactuals.filename=mine.npz",
        ),
    ),
    "means": (
        "Build the class means of a checkpoint again, from its training images.\n"
        "The checkpoint itself stays as it is: a new one is written.",
        (
            "means --ckpt_path last --config mnist.yaml",
            "means --ckpt_path pretrained:mnist --out again.ckpt",
            "means --ckpt_path pretrained:mnist --batch_norm=true",
        ),
    ),
    "import_ibinn": (
        "Turn a checkpoint of the published IB-INN code into one of this project.\n"
        "Its class means are built from the training images of the configuration.",
        (
            "import-ibinn model.pt --config mnist.yaml",
            "import-ibinn model.pt --config mnist.yaml --no-means",
            "import-ibinn model.pt --config mnist.yaml --out mine.ckpt",
        ),
    ),
}
"""What each command is for, and three ways to begin."""

_FIRST = ("ckpt_path", "experiment", "minutes", "test_after_fit", "seed_everything")
_LAST = ("wandb_project", "weights_only")
"""Options that matter before others, after the subcommand's own."""

_CHECKPOINT = (
    "A .ckpt file; last or best: the newest of the experiment's runs; pretrained:mnist and the "
    "like; for fit, auto: last if there is one, else begin."
)
"""In place of Lightning's words, which are of other names."""

_CLASSES = {"model": "Class of the model", "data": "Class of the data set"}


def command_help(words: Sequence[str]) -> str | None:
    """What ``--help`` answers; None: only the parser can say.

    Args:
        words: of the command, in the parser's spelling.

    Example:
        >>> print(command_help(["fit", "--help"]).splitlines()[0])
        usage: python -m lightning_ecinn fit --config FILE [--OPTION=VALUE ...]
    """
    schema = known()
    if schema is None or not words or words[0] not in _ABOUT:
        return None
    if {"-h", "--help"} & {*words[1:]}:
        return "\n".join(_command(schema, words[0]))
    for kind in _CLASSES:
        for i, word in enumerate(words):
            name, _, value = word.partition("=")
            value = value or "".join(words[i + 1 : i + 2])
            if name == f"--{kind}.help" and value in classes_of(schema, kind):
                return "\n".join(_class(schema, kind, value))
    return None


def _command(schema: Mapping[str, Any], command: str) -> Iterator[str]:
    name = command.replace("_", "-")
    about, examples = _ABOUT[command]
    needs = "--config FILE" if command == "fit" else "--ckpt_path FILE"
    needs = "FILE --config FILE" if command == "import_ibinn" else needs
    yield f"usage: {PROGRAM} {name} {needs} [--OPTION=VALUE ...]\n\n{about}\n\nto start with:"
    yield from (f"  {PROGRAM} {example}" for example in examples)
    options = settings_of(schema, command)
    alone = [one for one in options if "." not in one and one not in _CLASSES]
    own = [one for one in alone if one not in (*_FIRST, *_LAST)]
    yield "\noptions that matter first:"
    said = "A YAML file, or the name of a shipped experiment; several change each other in turn."
    yield from _line("--config FILE", said)
    for one in [*own, *(one for one in (*_FIRST, *_LAST) if one in alone)]:
        yield from _option(one, options[one])
    for kind, what in _CLASSES.items():
        names = ", ".join(classes_of(schema, kind))
        said = f"{what}: {names}, or one of your own. --{kind}.help NAME shows its settings."
        yield from _line(f"--{kind} NAME", said)
        yield from _line(f"--{kind}.SETTING VALUE", f"One of its settings; --{kind}.NAME=VALUE.")
    for group in ("class_means", "counterfactuals", "checkpoint", "trainer"):
        yield f"\n{group}:"
        for one in options:
            if one.startswith(f"{group}."):
                yield from _option(one, _in_short(options[one]))
    yield "\nmore:"
    yield from _line("--print_config", "Print the whole configuration, and do nothing.")
    yield f"\n{PROGRAM} --help shows the other commands."


def settings_of(schema: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The schema of each of a subcommand's settings."""
    found = {}
    for name, own in schema["x-commands"][command].items():
        group, _, inner = name.rpartition(".")
        place = schema["properties"][group]["properties"] if group else schema["properties"]
        found[name] = own or place[inner]
    if command not in SEVERAL:
        found["ckpt_path"] = {"description": _CHECKPOINT}
    if "weights_only" in found:
        found["weights_only"] = _in_short(found["weights_only"])
    return found


def _in_short(schema: Mapping[str, Any]) -> dict[str, Any]:
    """With the first sentence of what Lightning says at length."""
    first = re.split(r"(?<=[^.][.!])\s+(?=[A-Z`.])", schema.get("description", ""), maxsplit=1)[0]
    return {**schema, "description": first.replace("``", "")}


def _class(schema: Mapping[str, Any], kind: str, name: str) -> Iterator[str]:
    yield f"settings of {name}, as in --{kind} {name} --{kind}.SETTING=VALUE:"
    for setting, one in schema["definitions"][name]["properties"].items():
        yield from _option(f"{kind}.{setting}", one)


def classes_of(schema: Mapping[str, Any], kind: str) -> list[str]:
    """The classes that a "model" or "data" may be."""
    chosen, _ = schema["definitions"][kind]["anyOf"]
    names: list[str] = chosen["anyOf"][0]["enum"]
    return names


def _option(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    said = schema.get("description", "")
    if "default" in schema and "efault" not in said:
        default = schema["default"]
        shown = str(default).lower() if isinstance(default, bool) else default
        said += f" (default: {shown})" if shown != "" else ""
    yield from _line(f"--{name} {_value(schema)}", said.strip())


def choices_of(schema: Mapping[str, Any]) -> list[str]:
    """The words that an option may be, none where it may be anything."""
    kinds = schema.get("anyOf", [schema])
    choices = [str(choice) for one in kinds for choice in one.get("enum", [])]
    return list(dict.fromkeys(choices + (_BOOLEAN if {"type": "boolean"} in kinds else [])))


def _value(schema: Mapping[str, Any]) -> str:
    """What stands after an option."""
    kinds, choices = schema.get("anyOf", [schema]), choices_of(schema)
    if choices not in ([], _BOOLEAN) and sum(map(len, choices)) < 50:
        return "{" + ",".join(choices) + "}"
    types = [one.get("type", "") for one in kinds]
    named = {"boolean": "true|false", "integer": "NUMBER", "number": "NUMBER", "array": "LIST"}
    found = [named[one] for one in types if isinstance(one, str) and one in named]
    return "NUMBER" if "NUMBER" in found else found[0] if found else "VALUE"


def _line(left: str, right: str) -> Iterator[str]:
    lines = textwrap.wrap(right, _WIDTH - _INDENT, break_on_hyphens=False) or [""]
    if len(left) + 4 > _INDENT:
        yield f"  {left}"
    else:
        yield f"  {left:<{_INDENT - 2}}{lines.pop(0)}".rstrip()
    yield from (f"{'':{_INDENT}}{line}".rstrip() for line in lines if line)
