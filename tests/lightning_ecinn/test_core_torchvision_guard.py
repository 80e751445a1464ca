"""The guard may be called at any time, any number of times."""

import importlib.util
import sys

import pytest

from lightning_ecinn import torchvision_guard
from lightning_ecinn.torchvision_guard import import_torchvision


def test_is_idempotent():
    import_torchvision()
    module = sys.modules.get("torchvision")
    import_torchvision()
    assert sys.modules.get("torchvision") is module
    assert (module is None) == (importlib.util.find_spec("torchvision") is None)


def test_works_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)  # import raises ImportError
    import_torchvision()


def test_does_not_hide_other_errors(monkeypatch):
    def fail(name):
        raise RuntimeError("something else")

    monkeypatch.setattr(torchvision_guard.importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="something else"):
        import_torchvision()
