"""The small model that ships with the package."""

import experiments
from lightning_ecinn.cli import main


def test_the_shipped_model_can_be_tested(tmp_path):
    """One batch of the sample's test images, with the whole command line."""
    path = experiments.FOLDER / "models" / "mnist_small.ckpt"
    given = [f"--ckpt_path={path}", f"--trainer.default_root_dir={tmp_path}"]
    given += ["--trainer.limit_test_batches=1", "--trainer.callbacks=null"]
    cli = main(["test", "--config=quickstart.yaml", *given])
    metrics = cli.trainer.callback_metrics
    assert metrics["test/accuracy"] > 0.97
    assert metrics["test/validity"] > 0.95
    assert metrics["test/bpd_paper"] < 2.1
