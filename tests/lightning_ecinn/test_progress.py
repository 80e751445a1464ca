"""Bars on terminals, lines elsewhere."""

import io

import pytest
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel

from lightning_ecinn import ProgressLines, progress
from lightning_ecinn.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only as they are told to."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def gone_through(clock, count, seconds, **settings):
    file = io.StringIO()
    with progress_bar(title="means", unit=" images", file=file, **settings) as bar:
        bar.mininterval = bar.miniters = 0
        for _ in range(count):
            clock[0] += seconds
            bar.update()
            bar.refresh()
    return file.getvalue().splitlines()


def test_a_line_for_each_tenth_with_rate_and_time_left(clock):
    lines = gone_through(clock, 200, 2.0, total=200)
    assert 9 <= len(lines) <= 11
    assert lines[-1] == "means: 185 of 200 images (92%), 0.5 images/s, 00:30 left"


def test_short_steps_have_no_line_and_long_ones_one_each_five_minutes(clock):
    assert gone_through(clock, 9, 1.0, total=9) == []
    assert len(gone_through(clock, 20, 300.0, total=1_000_000)) == 20
    assert gone_through(clock, 11, 1.0)[0] == "means: 10 images, 1 images/s"


def test_what_was_done_before_counts_as_done_and_not_as_fast(clock):
    lines = gone_through(clock, 20, 1.0, total=100, initial=80)
    assert lines[0] == "means: 90 of 100 images (90%), 1 images/s, 00:10 left"


def test_a_terminal_has_a_bar_and_nothing_has_neither():
    file = Terminal()
    list(progress_bar(range(3), "means", file=file))
    assert "means: " in file.getvalue()
    assert "\r" in file.getvalue()
    file = Terminal()
    assert list(progress_bar(range(3), "means", shown=False, file=file)) == [0, 1, 2]
    assert file.getvalue() == ""


def test_a_training_and_a_test_say_how_far_they_are(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(progress, "_SHORTEST", 0.0)
    lines = ProgressLines()
    quiet = {"logger": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(
        max_epochs=2, limit_train_batches=4, limit_val_batches=1, accelerator="cpu",
        callbacks=[lines], default_root_dir=tmp_path, **quiet,
    )  # fmt: skip
    for method, said in ((trainer.fit, "training: "), (trainer.test, "test: ")):
        begun = progress_bar

        def eager(*args, begun=begun, **kwargs):
            bar = begun(*args, **kwargs)
            bar.mininterval, bar.miniters, bar.dynamic_miniters = 0, 0, False
            return bar

        monkeypatch.setattr("lightning_ecinn.callbacks.progress_lines.progress_bar", eager)
        method(BoringModel())
        printed = capsys.readouterr().err
        assert said in printed
        assert "images/s" in printed
        if said == "training: ":
            assert "8 of 8 batches (100%)" in printed
            assert "epoch 2 of 2" in printed
