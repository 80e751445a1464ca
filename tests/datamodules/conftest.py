"""Pictures that several tests of the cache read."""

import pytest
from picture_files import NAMES, encoded, picture

from lightning_ecinn.datamodules.readers import cache
from lightning_ecinn.pictures.decode import decode


@pytest.fixture
def folder(tmp_path):
    """Six pictures; picture i is all grey level 40 i."""
    (tmp_path / "pictures").mkdir()
    for i, name in enumerate(NAMES):
        (tmp_path / "pictures" / name).write_bytes(encoded(picture(40 * i), "PNG"))
    return tmp_path / "pictures"


@pytest.fixture
def decoded(monkeypatch):
    """How many pictures were decoded."""
    calls = []

    def counting(*arguments):
        calls.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(cache, "decode", counting)
    return calls
