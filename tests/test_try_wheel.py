"""The tool that installs a built wheel and uses it: what it says before it begins."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "try_wheel.py"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.whl"], "there is no file nowhere.whl: `make dist` builds one."),
        (
            [TOOL, "--python", "python9"],
            "there is no interpreter python9: name one with --python path.",
        ),
    ],
)
def test_what_is_not_there_is_one_sentence(words, said, tmp_path):
    command = [sys.executable, TOOL, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"try_wheel.py: error: {said}"
