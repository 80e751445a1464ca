"""Errors of the parser in one sentence, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from lightning_ecinn.plain_text import plain

__all__ = ["closest", "one_line"]

_NOISE = (
    "Does not validate against any of the Union subtypes",
    "Subtypes:",
    "Errors:",
    "Expected a <class 'NoneType'>",
    "Expected a path but",
    "Given value type:",
    "Subclass types expect one of:",
    "a class path (str)",
    "a dict ",
    "Problem with given class_path",
)
_REWRITTEN = [
    (
        r"the following arguments are required: ((?:\w+\.(?:data|model)(?:, )?)+)$",
        r"required: \1; give a complete experiment, as in --config mnist.yaml; a file that only "
        r"changes one comes after it, as in --config mnist.yaml --config conv_net.yaml",
    ),
    (r"argument (?:-c/)?(--config): expected one argument", r"\1 has no value; give a file's name"),
    (
        r"argument (--(?:data|model)): expected one argument",
        r"\1, or one of its settings, has no value; give one, as in \1.NAME=VALUE",
    ),
    (r"argument (--\S+): expected one argument", r"\1 has no value; give one, as in \1=VALUE"),
    (
        r"^(-?\d+) is not in bounds, numpy accepts from (\d+) to (\d+)",
        r"seed_everything is \1; give a whole number from \2 to \3",
    ),
    (r"\b(data|model)\.init_args\.", r"\1."),
]
_EXPECTED = [
    (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
    (r"typing\.Literal(\[[^]]*\])", r"one of \1"),
    (r"Expected a one of", "Expected one of"),
    (r"Expected a (?=[aeiouAEIOU])", "Expected an "),
    (r"Not a valid subclass of .*", "Expected a class and its settings"),
    (r"'\w+' object has no attribute 'keys'", "Expected settings by their names"),
]


def one_line(message: str, options: Iterable[str] = ()) -> str:
    """An error of jsonargparse or anyone else on one line, without its inner workings.

    Args:
        message: what was said.
        options: those that there are, in case that it is about one that there is not.
    """
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    if any(line.startswith(("Parser key", *_NOISE)) for line in lines[:1]):
        return plain(" ".join(_of_a_key(lines).split()))
    text = " ".join(" ".join(lines).split())
    for pattern, replacement in _REWRITTEN:
        text = re.sub(pattern, replacement, text)
    return plain(_with_hint(text, options))


def closest(name: str, names: Iterable[str]) -> str:
    """``(did you mean X?)``, after a blank, where one of the names is like this one."""
    by_small = {one.lower(): one for one in sorted(names)}  # Mnist is MNIST
    found = [by_small[one] for one in get_close_matches(name.lower(), by_small, 1, 0.6)]
    return f" (did you mean {found[0]}?)" if found and found[0] != name else ""


def _of_a_key(lines: list[str]) -> str:
    """What is wrong with a value, of which jsonargparse says why it is none of several types."""
    keys, problems, given = [], [], ""
    for line in lines:
        if found := re.fullmatch(r'Parser key "(.+)":', line):
            keys.append(found[1])
        elif line.startswith("Given value: "):
            given = given or line.removeprefix("Given value: ")
        elif line and not line.startswith(_NOISE):
            problem, _, value = line.partition(". Got value: ")
            problems.append(problem)
            given = value or given
    key, text = ".".join(dict.fromkeys(keys)), "\n".join(dict.fromkeys(problems))
    if found := re.search(r"^Option '(.+)' is not accepted", text, re.MULTILINE):
        return f"{key}.{found[1]}: there is no such setting{closest(found[1], _settings(key))}"
    if found := re.search(r"^Expected a dot import path string: ?(.*)", text, re.MULTILINE):
        return f"{key}: there is no class {found[1] or repr(given)}" + (
            f"{closest(found[1], _classes(key))}; give the name of a class of this "
            "project, or the full path of your own, as in package.module.Class"
        )
    for pattern, replacement in _EXPECTED:
        text = re.sub(pattern, replacement, text)
    text = text.replace("\nExpected ", " or ")
    given = "null" if given == "None" else given
    is_shown = given and not given.startswith(("NestedArg", "Namespace"))
    if not key:  # of the class itself, in its own words
        return text
    return f"{key}: {text}" + (f". Got value: {given}" if is_shown else "")


def _classes(key: str) -> dict[str, type]:
    """The classes of ours that may stand under a key, by name."""
    import pytorch_lightning as pl  # seconds, which a mistake of another kind need not wait for

    from lightning_ecinn import callbacks, datamodules, training

    choices = {
        "model": (training, pl.LightningModule),
        "data": (datamodules, pl.LightningDataModule),
        "trainer.callbacks": (callbacks, pl.Callback),
    }
    package, base = choices.get(key, (None, object))
    found = {name: getattr(package, name) for name in getattr(package, "__all__", ())}
    return {k: v for k, v in found.items() if isinstance(v, type) and issubclass(v, base)}


def _settings(key: str) -> set[str]:
    """All settings of those classes."""
    from jsonargparse import ArgumentParser

    classes = _classes(key).values()
    return {name for one in classes for name in ArgumentParser().add_class_arguments(one)}


def _with_hint(text: str, options: Iterable[str]) -> str:
    """A subcommand or an option that does not exist, with the one that is meant, perhaps."""
    if found := re.match(
        r"argument subcommand: invalid choice: '(.*?)' \(choose from (.*)\)", text
    ):
        names = re.findall(r"'(.*?)'", found[2])
        hint = closest(found[1].replace("-", "_"), names)
        return f"there is no subcommand {found[1]!r}{hint}; there are {', '.join(names)}"
    if found := re.match(r"Subcommand '\w+' does not accept option '(.+)'$", text):
        return f"{found[1]}: there is no such setting{closest(found[1], options)}"
    if found := re.match(r"unrecognized arguments: (?:--([\w.]+)|(\S+\.ya?ml$))", text):
        hint = closest(found[1], options).replace("mean ", "mean --") if found[1] else ""
        return text + (f" (did you mean --config {found[2]}?)" if found[2] else hint)
    return text
