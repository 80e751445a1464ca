"""``--config``: an experiment by its name, in the present words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, Namespace

from lightning_ecinn.cli.config_files import ConfigFile, find_config
from lightning_ecinn.cli.earlier import translate

__all__ = ["ExperimentFile"]


class ExperimentFile(ActionConfigFile):
    """``--config NAME``: a file in the current folder, else one of the shipped experiments."""

    def __call__(  # type: ignore[override]
        self, parser: Any, config: Namespace, value: Any, option_string: str | None = None
    ) -> None:
        """Read the file of that name; names of earlier versions are understood."""
        source = value
        if isinstance(value, str):  # else it was read already
            found = find_config(value)
            _check_base(config, found)
            present = translate(found.content)
            is_new = present == found.content
            source = found.source if is_new else yaml.safe_dump(present, sort_keys=False)
        super().__call__(parser, config, source, option_string)


def _check_base(config: Namespace, file: ConfigFile) -> None:
    """Refuse a file that changes settings of data or a model that no file before it names."""
    for key in ("data", "model"):
        part = file.content.get(key)
        if isinstance(part, dict) and "class_path" not in part and config.get(key) is None:
            name = Path(file.source).name if file.source != file.text else "FILE"
            raise ValueError(
                f"--config {name} changes {key}, but nothing before it says which: put the "
                f"complete experiment that it changes before it, as in {_usage(file.text, name)}"
            )


def _usage(text: str, name: str) -> str:
    """The command in a file's heading, else any."""
    line = re.search(r"^# .*(--config \S+ --config \S+)", text, re.MULTILINE)
    return line[1] if line else f"--config mnist.yaml --config {name}"
