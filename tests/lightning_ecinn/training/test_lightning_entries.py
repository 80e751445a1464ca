"""Checkpoints that Lightning could not restore from: refused before it tries."""

from pathlib import Path

import pytest
import torch

from lightning_ecinn.training.checkpoint_files import CheckpointFiles
from lightning_ecinn.training.lightning_entries import check_lightning_entries

WHOLE = {"state_dict": {}, "pytorch-lightning_version": "2.6.0", "epoch": 1, "callbacks": {}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"callbacks": [1]}, "its entry 'callbacks' is a list, not a dict"),
        ({"loops": "x"}, "its entry 'loops' is a str, not a dict"),
        ({"epoch": "one"}, "its entry 'epoch' is a str, not a int"),
        ({"state_dict": 1}, "its entry 'state_dict' is a int"),
        ({"pytorch-lightning_version": 5}, "version' is a int, not a str"),
        ({"pytorch-lightning_version": "new"}, "version' is no version"),
    ],
)
def test_entries_of_other_types(changed, message):
    check_lightning_entries(Path("a.ckpt"), WHOLE)
    with pytest.raises(ValueError, match=f"^a.ckpt is not a checkpoint of a trainer: .*{message}"):
        check_lightning_entries(Path("a.ckpt"), WHOLE | changed)


def test_what_a_trainer_reads_is_checked(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save(WHOLE, path)
    assert CheckpointFiles().load_checkpoint(path) == WHOLE
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ValueError, match="it has no entry 'pytorch-lightning_version'"):
        CheckpointFiles().load_checkpoint(path)
    path.write_text("no checkpoint")
    with pytest.raises(ValueError, match="is not a checkpoint of a trainer: it is text; give one"):
        CheckpointFiles().load_checkpoint(path)
