"""Exported files say what the model says, without this package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_flow import anchors, classifier

from lightning_ecinn import BlackBoxExplainer, ConvNetwork, Explainer, Predictor, export
from lightning_ecinn.blackbox import AskedOptions
from lightning_ecinn.blackbox.given import read_classifier
from lightning_ecinn.exported import checking, formats
from lightning_ecinn.exported.described import write_description
from lightning_ecinn.exported.parts import parts_of_flow

PAGE = Path(__file__).parents[3] / "docs" / "export.md"
NAMES = ["a", "b", "c"]
SMALL = {"blocks": (1,), "widths": (4,), "fc_blocks": 0}


@pytest.fixture(scope="module")
def explainer():
    return Explainer(classifier(names=NAMES, **SMALL))


@pytest.fixture(scope="module")
def folder(explainer, tmp_path_factory):
    """A flow in both formats, in a folder called as in the page."""
    out = tmp_path_factory.mktemp("exported") / "model"
    files = export(explainer, out, format="both")
    assert all(file.difference < 1e-5 for file in files)
    return out


def asked(folder, explainer, name):
    """The function of a file."""
    stem, suffix = name.split(".")
    parts = parts_of_flow(explainer.classifier.folded(), explainer.truncation)
    part = next(part for part in parts if part.name == stem)
    return formats.read(part, folder / f"{stem}.{suffix}")


@pytest.mark.parametrize("suffix", ["pt2", "onnx"])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_files_say_what_the_explainer_says(folder, explainer, suffix, count):
    images = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(count))
    latents, _ = explainer.encode(images)
    pairs = [
        ("classifier", images, "posterior", explainer.posterior(images)),
        ("encoder", images, "latents", latents),
        ("decoder", latents, "images", explainer.decode(latents)),
    ]
    for name, given, output, expected in pairs:
        said = asked(folder, explainer, f"{name}.{suffix}")(given)[output]
        torch.testing.assert_close(said, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("suffix", ["pt2", "onnx"])
def test_a_counterfactual_is_the_explainers_at_every_step(folder, explainer, suffix):
    images = torch.cat((anchors().float(), torch.rand(2, 1, 4, 4)))
    target = torch.tensor([0, 2, 1, 1, 0])  # the first is its own target
    function = asked(folder, explainer, f"counterfactual.{suffix}")
    for step, alpha in (((0, 1), "tipping"), ((0.8, 0.5), "convincing"), ((0.7, 0), 0.7)):
        cf = explainer.explain(images, target, alpha, undefined="keep")
        said = function(images, target, torch.tensor(step, dtype=torch.float32))
        for name in ("image", "alpha", "posterior"):
            torch.testing.assert_close(said[name], getattr(cf, name), atol=1e-5, rtol=1e-5)
        assert said["source"].tolist() == cf.source.tolist()
        assert said["defined"].tolist() == cf.defined.tolist()
    assert torch.equal(said["image"][0], images[0])


def test_pairs_without_a_step_keep_their_image():
    model = classifier(**SMALL)
    model.class_counts[2] = 0
    *_, part = parts_of_flow(model.folded(), 1.0)
    images = anchors().float()[:2]
    with torch.no_grad():
        said = part.module(images, torch.tensor([2, 0]), torch.tensor([0.0, 1.0]))
    assert said["defined"].tolist() == [False, True]
    assert torch.equal(said["image"][0], images[0])
    assert said["alpha"].ne(0).tolist() == [False, True]


def test_colour_haar_truncation_and_float64(tmp_path):
    network = classifier((3, 8, 8), 2, haar=True, haar_gain=6.0, **SMALL).double()
    explainer = Explainer(network, truncation=0.7)
    *_, part = parts_of_flow(network.folded(), explainer.truncation)
    (path,) = formats.write(part, tmp_path, (".pt2",))
    cases = checking.cases_of_flow(explainer)["counterfactual"]
    assert checking.greatest_difference(part, path, cases) < 1e-12
    write_description(tmp_path, explainer, [], None)
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["dtype"] == "float64"
    assert "psi = 0.7" in about["formula"]["truncated"]
    with pytest.raises(ValueError, match="no convolutions in float64"):
        export(explainer, tmp_path / "other", format="onnx")
    assert not (tmp_path / "other").exists()


def test_model_json_says_what_is_there(folder, explainer):
    about = json.loads((folder / "model.json").read_text())
    parts = ("classifier", "encoder", "decoder", "counterfactual")
    assert {*about["files"]} == {f"{name}{s}" for name in parts for s in (".pt2", ".onnx")}
    assert {path.name for path in folder.iterdir()} == {
        *about["files"], "means.npz", "model.json", "README.md",
    }  # fmt: skip
    for name, file in about["files"].items():
        assert file["bytes"] == (folder / name).stat().st_size
    assert about["class_names"] == NAMES
    assert about["versions"]["torch"] == torch.__version__
    means = np.load(folder / "means.npz")
    assert {*means} == {*about["arrays"]["means.npz"]}
    np.testing.assert_array_equal(means["class_means"], explainer.classifier.class_means)
    readme = (folder / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in (*about["files"], "means.npz"))


def test_the_pages_lines_run_without_this_package(folder, explainer):
    """They are those of README.md, too, and give the explainer's counterfactuals."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    readme = (folder / "README.md").read_text()
    images = anchors().float()
    np.save(folder.parent / "images.npy", images)
    expected = explainer.explain(images, target=1).image
    run = [block for block in blocks if "lightning_ecinn" not in block]
    assert len(run) == 2
    for block in run:
        assert block in readme
        code = f"import sys\nsys.modules['lightning_ecinn'] = None\n{block}"
        command = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code]
        subprocess.run(command, check=True, cwd=folder.parent)
        made = folder.parent / "counterfactuals.npy"
        np.testing.assert_allclose(np.load(made), expected, atol=1e-5)
        made.unlink()


def test_an_ordinary_network_exports_its_classifier(tmp_path):
    network = ConvNetwork((3, 8, 8), 2, ["calm", "happy"], widths=[4]).train()
    (file,) = export(network, tmp_path / "model")
    assert network.training
    assert file.difference < 1e-6
    images = torch.rand(3, 3, 8, 8)
    given = read_classifier(str(file.path))
    posterior = Predictor(given.predict, num_classes=2)(images)
    with torch.no_grad():
        torch.testing.assert_close(posterior.float(), network.eval().posterior(images))
    assert "formula" not in json.loads((tmp_path / "model" / "model.json").read_text())
    assert "classifier.pt2" in (tmp_path / "model" / "README.md").read_text()


def test_a_file_is_explained_as_any_classifier(folder, explainer):
    images = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    options = AskedOptions(classifier=str(folder / "classifier.pt2"))
    asked = options.explainer(explainer, NAMES, lambda: images)
    own = explainer.posterior((255 * images).round() / 255)  # it is asked about 8 bits
    torch.testing.assert_close(asked.posterior(images).float(), own)


def test_the_classifier_can_be_asked_and_has_gradients(folder, explainer):
    given = read_classifier(str(folder / "classifier.pt2"))
    images = torch.rand(2, 1, 4, 4, requires_grad=True)
    posterior = given.predict(images)
    assert torch.autograd.grad(posterior[:, 0].sum(), images)[0].abs().sum() > 0
    torch.testing.assert_close(posterior.detach(), explainer.posterior(images.detach()))


def test_the_model_stays_as_it_is(folder, explainer):
    assert explainer.classifier.mixture.component_means.requires_grad
    said = asked(folder, explainer, "classifier.pt2")(torch.rand(1, 1, 4, 4))
    assert not said["posterior"].requires_grad


def test_what_differs_is_noticed(folder, explainer):
    """A check that says nothing of another model's file would be none."""
    cases = checking.cases_of_flow(explainer)
    (inputs, outputs), *_ = cases["classifier"]
    part = parts_of_flow(explainer.classifier.folded(), 1.0)[0]
    moved = [(inputs, {"posterior": outputs["posterior"] + 0.25})]
    path = folder / "classifier.pt2"
    assert checking.greatest_difference(part, path, moved) == pytest.approx(0.25, abs=1e-5)
    broken = [(inputs, {"posterior": outputs["posterior"] * torch.nan})]
    assert checking.greatest_difference(part, path, broken) == torch.inf


def test_nothing_is_overwritten(tmp_path, explainer):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something already: give a new folder"):
        export(explainer, tmp_path)
    with pytest.raises(ValueError, match="holds something already"):
        export(explainer, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_mistakes_are_said_in_one_sentence(tmp_path, explainer, monkeypatch):
    out = tmp_path / "model"
    with pytest.raises(ValueError, match="format must be one of pt2, onnx, both, got 'pt'"):
        export(explainer, out, format="pt")
    bare = classifier(**SMALL)
    bare.class_counts.zero_()
    with pytest.raises(ValueError, match=r"no class means yet.*lightning_ecinn means --ckpt_path"):
        export(Explainer(bare), out)
    asked = Explainer.for_classifier(
        explainer, explainer.classifier.posterior, torch.rand(9, 1, 4, 4), NAMES
    )
    assert isinstance(asked, BlackBoxExplainer)
    with pytest.raises(ValueError, match=r"explainer\.flow"):
        export(asked, out)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ckpt"):
        export("nowhere.ckpt", out)
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else 1)
    with pytest.raises(ValueError, match=r"need onnxscript: pip install 'lightning_ecinn\[onnx\]'"):
        export(explainer, out, format="both")
    assert not out.exists()
