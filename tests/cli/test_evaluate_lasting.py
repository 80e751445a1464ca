"""What an evaluation says of what it could not measure or write."""

import json

import numpy as np
import pytest
from evaluating import make_evaluate, make_models, rows_of  # noqa: F401 (fixtures)

from lightning_ecinn.callbacks.new_files import save_new_text
from lightning_ecinn.commands import evaluation_loop, evaluation_report
from lightning_ecinn.evaluation import measured
from lightning_ecinn.whole_files import WriteError


def test_an_evaluation_of_nothing_is_no_success(evaluate, tmp_path, capsys):
    """The bars are classified as what they are, and that is asked for."""
    np.savez(tmp_path / "t.npz", target=np.arange(60) % 10)
    with pytest.raises(SystemExit) as stop:
        evaluate(f"--targets={tmp_path}/t.npz", "--count=5", "--trainer.logger=false")
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert "None of 20 counterfactuals exists: 20 images already are their target" in shown.err
    assert "already the target" in shown.out
    (path,) = tmp_path.glob("runs/*/*/evaluation.json")
    assert json.loads(path.read_text())["counts"]["star"]["exist"] == 0


def test_numbers_that_are_none_end_no_evaluation(evaluate, capsys, monkeypatch):
    """Of two of five images, and of one of them every counterfactual, log p is no number."""

    def poisoned(*arguments):
        rows = measured(*arguments)
        rows["log_prob_before"][:2] = rows["log_prob_after"][:1] = np.nan
        rows["l1"][:] = np.inf
        return rows

    monkeypatch.setattr(evaluation_loop, "measured", poisoned)
    monkeypatch.setattr(evaluation_report, "reference_quantile", lambda rows: float("nan"))
    cli = evaluate("--alphas=[tipping]", "--count=5", "--trainer.logger=false")
    text = (cli.run_folder / "evaluation.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert found["plausibility_reference"] is None
    assert found["counts"]["tipping"]["unknown"] == 1
    assert "l1" not in found["measures"]["tipping"]
    rows = rows_of(cli.run_folder)
    assert [row["log_prob_after"] == "" for row in rows] == [True, *[False] * 4]
    assert all(row["l1"] == row["plausible"] == "" for row in rows)
    out = capsys.readouterr().out
    assert "with a log p that is no number" in out
    assert "nan" not in out
    assert (cli.run_folder / "pictures" / "evaluation-posterior.png").exists()


def test_a_file_that_can_not_be_written_costs_no_other(evaluate, tmp_path, capsys, monkeypatch):
    def failing(path, text):
        if path.suffix == ".json":
            raise WriteError(path, OSError(28, "No space left on device"))
        return save_new_text(path, text)

    monkeypatch.setattr(evaluation_report, "save_new_text", failing)
    with pytest.raises(SystemExit) as stop:
        evaluate("--alphas=[tipping]", "--count=5", "--trainer.logger=false")
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert "evaluation.json could not be written: No space left on device." in shown.err
    assert "validity, %" in shown.out
    written = {path.name for path in tmp_path.glob("runs/*/*/*")}
    assert {"evaluation.md", "evaluation.csv", "counterfactuals.csv", "pictures"} <= written
