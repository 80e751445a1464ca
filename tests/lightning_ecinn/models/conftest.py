"""A small checkpoint to be spoilt."""

import pytest
import torch
from refusals import NETWORK, SHAPE

from lightning_ecinn import GenerativeClassifier


@pytest.fixture
def content():
    torch.manual_seed(0)
    model = GenerativeClassifier(SHAPE, 3, ["ant", "bee", "cow"], **NETWORK)
    state = {"classifier." + key: value for key, value in model.state_dict().items()}
    return {"classifier": model.config, "state_dict": state}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.ckpt"
