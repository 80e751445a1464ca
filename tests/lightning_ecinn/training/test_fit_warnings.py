"""A script's `fit` warns of nothing that only Lightning's authors can change."""

import warnings

import pytorch_lightning as pl
from tiny import Data, ibinn


def test_nothing_is_said_of_lightnings_own_code(tmp_path):
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, limit_val_batches=1, default_root_dir=tmp_path,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(ibinn(), Data())
    said = [str(one.message) for one in caught]
    assert not [text for text in said if "LeafSpec" in text or "on_before_batch" in text]
