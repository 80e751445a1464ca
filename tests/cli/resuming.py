"""A training that takes long enough to be stopped, and whether two ended the same."""

import torch

SCHEDULES = {
    "onecycle": ["--model.schedule=onecycle"],
    "multistep": ["--model.schedule=multistep", "--model.milestones=[1,2]", "--model.gamma=0.5"],
}


def arguments(tiny, schedule, folder):
    given = ["fit", "--config=smoke.yaml", *tiny, *SCHEDULES[schedule]]
    given += ["--trainer.max_epochs=3", "--trainer.limit_train_batches=null"]
    given += ["--trainer.limit_val_batches=null", "--test_after_fit=false"]
    given += ["--data.max_shift=2", "--model.fc_dropout=0.5", "--trainer.callbacks=null"]
    return [*given, "--trainer.logger=false", f"--trainer.default_root_dir={folder}"]


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(first, second, where=""):
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_same(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for number, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{where}/{number}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second, where
