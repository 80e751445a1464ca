"""The guard watches imports, once, and lets torchvision import without its compiled operators."""

import subprocess
import sys

import pytest

from lightning_ecinn.torchvision_guard import _Guard, install


def run(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def test_is_idempotent():
    install()
    install()
    assert sum(isinstance(finder, _Guard) for finder in sys.meta_path) == 1


def test_works_without_torchvision():
    hidden = "import sys; sys.modules['torchvision'] = None\n"  # import raises ImportError
    done = run(hidden + "import lightning_ecinn\nfrom lightning_ecinn import ib_inn")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("first", ["torchvision", "torchmetrics.image.fid", "pytorch_lightning"])
def test_torchvision_imports_beside_a_torch_that_its_operators_are_not_for(first):
    script = """
import torch
def fails(path):
    raise OSError("undefined symbol")
torch.ops.load_library = fails
import lightning_ecinn
import FIRST
import torchvision
assert torchvision.transforms.functional.hflip(torch.arange(2)[None]).tolist() == [[1, 0]]
"""
    done = run(script.replace("FIRST", first))
    assert done.returncode == 0, done.stderr


def test_does_not_hide_other_errors():
    script = """
import sys, lightning_ecinn
sys.modules["torchvision.extension"] = None
import torchvision
"""
    done = run(script)
    assert "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr
