"""The subcommand that draws and correlates the heatmaps of several models."""

import json

import pytest
import torch

from lightning_ecinn import ConvNetwork, Explainer, GenerativeClassifier
from lightning_ecinn.cli.main import main
from lightning_ecinn.commands.compare import CompareSettings, Comparison
from lightning_ecinn.comparison import FIGURE_9
from lightning_ecinn.runs import name_models

SMALL = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_width": 8, "init_scale": 1.0}
METHODS = ["ecinnh", "integrated_gradients", "deep_lift_shap"]


def save(model, path, key):
    state = {f"{key}.{name}": value for name, value in model.state_dict().items()}
    torch.save({key: model.config, "state_dict": state}, path)
    return str(path)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A flow with class means, hardly trained, as a checkpoint."""
    torch.manual_seed(0)
    classifier = GenerativeClassifier((1, 28, 28), 2, ["not striped", "striped"], **SMALL)
    classifier.class_means.copy_(classifier.mixture.component_means)
    classifier.class_counts.fill_(5)
    return save(classifier, tmp_path_factory.mktemp("models") / "stripes.ckpt", "classifier")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An ordinary network of two classes for smaller images."""
    torch.manual_seed(1)
    conv = ConvNetwork((1, 14, 14), 2, ["not bright", "bright"], widths=(4,))
    return save(conv, tmp_path_factory.mktemp("models") / "bright.ckpt", "network")


@pytest.fixture
def compare(tiny, tmp_path, monkeypatch):
    """Run the subcommand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    few = ["--count=2", "--measure=5", "--num_baselines=2"]

    def run(*words):
        return main(["compare", "--config=smoke.yaml", *tiny, *few, *words])

    return run


def test_a_flow_and_a_network_side_by_side(compare, flow, network, capsys):
    cli = compare("--ckpt", flow, "--ckpt", network, f"--ckpt={flow}", "--methods", *METHODS)
    folder = cli.run_folder
    found = json.loads((folder / "comparison.json").read_text())
    assert [model["name"] for model in found["models"]] == ["stripes", "bright", "stripes 2"]
    assert list(found["correlation"]) == METHODS
    assert found["images"]["deep_lift_shap"] == [[5] * 3] * 3
    for method, matrix in found["correlation"].items():
        assert matrix[0][0] == pytest.approx(1), method
        assert matrix[0][2] == pytest.approx(1), method
        assert matrix[0][1] == matrix[1][0]
    assert found["correlation"]["ecinnh"][1] == [None] * 3
    assert abs(found["correlation"]["integrated_gradients"][0][1]) < 1
    pictures = sorted(path.name for path in folder.glob("pictures/*.png"))
    assert len([name for name in pictures if name.startswith("compare-test")]) == 2
    assert "compare-correlations.png" in pictures
    assert (folder / "config.yaml").stat().st_size
    assert "correlation/ecinnh/stripes~stripes 2" in (folder / "metrics.csv").read_text()
    out, err = capsys.readouterr()
    assert f"This run lies in {folder}" in out
    assert "stripes ~ bright" in err + out


def test_counterfactuals_go_as_far_as_the_checkpoint_says(flow, tmp_path):
    content = torch.load(flow, weights_only=True)
    further = tmp_path / "further.ckpt"
    torch.save({**content, "hyper_parameters": {"convincing_step": [1.5, 0.5]}}, further)
    comparison = Comparison(CompareSettings(ckpt_path=[flow, str(further)], methods=["ecinnh"]))
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    papers, fitted = comparison._explained(images, None)
    for found, path in ((papers, flow), (fitted, further)):
        expected = Explainer.from_checkpoint(path).explain(images, found.target).image
        torch.testing.assert_close(found.counterfactual, expected)
    assert not torch.equal(papers.counterfactual, fitted.counterfactual)


def test_lists_names_and_models_of_many_classes(compare, flow, trained):
    ten = trained.folder / "checkpoints" / "best.ckpt"
    cli = compare(f"--ckpt=[{ten},{flow}]", "--names", "ten", "two", "--methods=[ecinnh]")
    found = json.loads((cli.run_folder / "comparison.json").read_text())
    assert [model["name"] for model in found["models"]] == ["ten", "two"]
    assert found["correlation"]["ecinnh"][0][1] is None  # never the same question
    assert name_models([str(ten)]) == ["smoke"]


def test_a_flow_without_means_is_left_without_its_columns(compare, tmp_path, recwarn, capsys):
    torch.manual_seed(0)
    bare = save(GenerativeClassifier((1, 28, 28), 2, **SMALL), tmp_path / "b.ckpt", "classifier")
    cli = compare("--ckpt", bare, "--methods", "ecinnh", "saliency")
    assert "b.ckpt has no class means" in capsys.readouterr().err
    found = json.loads((cli.run_folder / "comparison.json").read_text())
    assert list(found["correlation"]) == ["saliency"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "compare: there is nothing to compare. Give --ckpt_path PATH of each model."),
        (["--ckpt", "nowhere.ckpt"], "nowhere.ckpt"),
        (["--ckpt", "torn.ckpt"], "torn.ckpt is not a checkpoint of a lightning_ecinn model"),
        (["--ckpt", "colour.ckpt"], "images of 3 channels, but the data's have 1"),
        (["--ckpt", "colour.ckpt", "--names", "a", "b"], "2 names for 1 checkpoints"),
        (["--ckpt", "colour.ckpt", "colour.ckpt", "--names", "a", "a"], "a name of its own"),
        (["--ckpt", "bare.ckpt", "--methods", "ecinnh"], "no model has class means, and so none"),
        (["--ckpt", "colour.ckpt", "--methods", "lime"], "there is no method 'lime'"),
        (["--ckpt", "colour.ckpt", "--measure=0"], "measure is 0; give 1 or more"),
    ],
)
def test_mistakes_give_one_sentence(compare, tmp_path, capsys, words, message):
    (tmp_path / "torn.ckpt").write_bytes(b"no checkpoint")
    save(ConvNetwork((3, 28, 28), 2, widths=(4,)), tmp_path / "colour.ckpt", "network")
    bare = GenerativeClassifier((1, 28, 28), 2, **SMALL)
    save(bare, tmp_path / "bare.ckpt", "classifier")
    with pytest.raises(SystemExit) as stop:
        compare(*words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    if "colour.ckpt" not in words:
        assert not (tmp_path / "runs").exists() or not list(tmp_path.glob("runs/*/*"))


def test_the_papers_methods_are_the_default():
    assert len(FIGURE_9) == 5
