"""Classifiers as they are named on a command line, and pictures in the shape that they take."""

import sys
import warnings

import pytest
import torch
from torch import nn

from lightning_ecinn import ConvNetwork, Predictor
from lightning_ecinn.blackbox.fitted import Fitted, Takes
from lightning_ecinn.blackbox.given import read_classifier

pytest.importorskip("onnx", reason="what writes ONNX files is not installed: pip install .[dev]")
pytest.importorskip("onnxruntime", reason="ONNX files need onnxruntime: pip install .[onnx]")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4)
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def write_onnx(path, shape, nodes, weights=(), outputs=("said",), kind=None):
    """A model of one input and some nodes, without an exporter."""
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", kind or TensorProto.FLOAT, shape)
    said = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", [value], said, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def means_of(axes):
    """The node whose answers are the means over axes, which must leave (B, K)."""
    from onnx import helper

    return [helper.make_node("ReduceMean", ["x"], ["said"], axes=axes, keepdims=0)]


def exported(network, path, count, *, any_batch):
    batch = {0: torch.export.Dim("b")} if any_batch else None
    shapes = (batch,) if any_batch else None
    program = torch.export.export(network, (torch.rand(count, 1, 8, 8),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return str(path)


@pytest.mark.parametrize("any_batch", [True, False])
def test_a_program_of_torch_export_answers_as_the_network_whatever_its_batch(
    network, pictures, tmp_path, any_batch
):
    given = read_classifier(exported(network, tmp_path / "n.pt2", 2, any_batch=any_batch))
    torch.testing.assert_close(
        Predictor(given.predict)(pictures), network(pictures).double().softmax(1)
    )
    assert given.class_names is None
    image = pictures[:1].clone().requires_grad_()
    (slope,) = torch.autograd.grad(Predictor(given.predict).scores(image)[0, 1], image)
    (expected,) = torch.autograd.grad(network(image)[0, 1], image)
    torch.testing.assert_close(slope, expected)


def test_torchscript_answers_as_the_network(network, pictures, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network, pictures).save(tmp_path / "n.pt")
    given = read_classifier(str(tmp_path / "n.pt"))
    torch.testing.assert_close(given.predict(pictures), network(pictures))


def test_onnx_of_a_fixed_batch_size_and_layout(tmp_path):
    path = tmp_path / "n.onnx"
    write_onnx(path, [2, 4, 4, 3], means_of([1, 2]))
    given = read_classifier(str(path))
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smaller = nn.functional.interpolate(images, (4, 4), mode="bilinear", antialias=True)
    torch.testing.assert_close(given.predict(images), smaller.mean((2, 3)))


def test_onnx_of_grey_levels_is_given_grey_levels(tmp_path):
    from onnx import TensorProto, helper

    path = tmp_path / "n.onnx"
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    mean = helper.make_node("ReduceMean", ["y"], ["said"], axes=[2, 3], keepdims=0)
    write_onnx(path, ["n", 3, 2, 2], [cast, mean], kind=TensorProto.UINT8)
    given = read_classifier(str(path))
    assert given.takes_uint8
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert given.predict(levels).tolist() == [[0, 51, 255]]


def test_onnx_without_onnxruntime_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "n.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"needs onnxruntime: pip install lightning_ecinn\[onnx\]"):
        read_classifier(str(tmp_path / "n.onnx"))


def test_a_network_of_ours_of_another_size_and_of_colours(tmp_path):
    torch.manual_seed(0)
    model = ConvNetwork((3, 4, 4), 2, ["a", "b"], widths=(4,)).eval()
    state = {f"network.{name}": value for name, value in model.state_dict().items()}
    torch.save({"network": model.config, "state_dict": state}, tmp_path / "n.ckpt")
    given = read_classifier(str(tmp_path / "n.ckpt"))
    images = torch.rand(2, 1, 8, 8)
    smaller = nn.functional.interpolate(images, (4, 4), mode="bilinear", antialias=True)
    assert given.class_names == ("a", "b")
    with torch.no_grad():
        torch.testing.assert_close(given.predict(images), model(smaller.expand(-1, 3, -1, -1)))


def test_a_flow_of_ours_gives_its_scores():
    given = read_classifier("pretrained:mnist_small")
    with torch.no_grad():
        model = given.predict.predict.model
        images = torch.zeros(1, 1, 28, 28)
        expected = model.posterior(images)
        torch.testing.assert_close(given.predict(images).softmax(1), expected)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of somebody's in the current folder."""
    monkeypatch.chdir(tmp_path)
    text = """
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3)).repeat(1, 2)
def bright(x):
    return (x.mean((1, 2, 3)) > 0.5).long()
def make():
    return Net()
def broken(x):
    raise KeyError("weights")
net = Net()
number = 3
"""
    (tmp_path / "somebodys.py").write_text(text)
    yield "somebodys"
    sys.modules.pop("somebodys", None)


@pytest.mark.parametrize("where", ["somebodys", "somebodys.py"])
@pytest.mark.parametrize("name", ["bright", "net", "make()", "Net()", "net.forward"])
def test_functions_objects_and_what_makes_them(module, where, name):
    given = read_classifier(f"{where}:{name}")
    answers = given.predict(torch.ones(2, 1, 4, 4))
    assert answers.tolist() == ([1, 1] if name == "bright" else [[1, 1]] * 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere.pt2", "nowhere.pt2 does not exist: give a .ckpt"),
        ("", "--classifier is empty: give a .ckpt"),
        (".", r"\. is a folder: give a .ckpt"),
        ("weights.pt", "weights.pt holds weights without their network, .* can't be asked"),
        ("text.pt", "text.pt can't be asked: give a .ckpt"),
        ("damaged.onnx", "damaged.onnx can't be read as ONNX"),
        ("nowhere.ckpt", "No checkpoint at .*nowhere.ckpt: for --classifier give"),
        ("text.ckpt", "text.ckpt is .*; for --classifier give"),
        ("nobodys.module:f", "nobodys.module can't be imported .*No module named"),
        ("nobodys.py:f", "there is no file nobodys.py"),
        ("somebodys.py", "name the function in it, as in somebodys.py:predict"),
        ("somebodys:brigt", "somebodys has no brigt: it has .*bright"),
        ("somebodys:Net", "is a class, Net: give a function .* with parentheses makes one"),
        ("somebodys:number", "somebodys:number can't be called"),
        ("somebodys:bright()", r"bright\(\) can't be called \(TypeError"),
    ],
)
def test_what_is_no_classifier_is_refused_in_a_sentence(module, tmp_path, given, said):
    torch.save({"weight": torch.zeros(2)}, "weights.pt")
    for name in ("text.pt", "text.ckpt", "damaged.onnx"):
        (tmp_path / name).write_text("no network")
    with pytest.raises((ValueError, FileNotFoundError), match=said) as caught:
        read_classifier(given)
    assert "\n" not in str(caught.value)


def test_a_classifier_that_fails_is_named_with_the_line_that_failed(module):
    asked = read_classifier("somebodys:broken").predict
    with pytest.raises(ValueError, match=r"somebodys:broken fails on .*KeyError.*py, line 11"):
        asked(torch.zeros(1, 1, 4, 4))


def test_rows_of_pixels_and_more_channels_than_are_taken():
    rows = Fitted(lambda x: x, "rows", Takes(batch=2, flat=True))
    assert rows(torch.ones(3, 1, 2, 2)).shape == (3, 4)
    grey = Fitted(lambda x: x, "grey", Takes(channels=1))
    with pytest.raises(ValueError, match="takes pictures of 1 channels, but these have 3"):
        grey(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_pictures_come_in_the_precision_of_the_weights(network, pictures, dtype):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).to(dtype)
    asked = Predictor(module)
    expected = module(pictures.to(dtype)).double().softmax(1)
    torch.testing.assert_close(asked(pictures), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("symmetric", [-1.0]), ("imagenet", [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])],
)
def test_pictures_in_other_units(kind, expected):
    seen = []

    def predict(x):
        seen.append(x[0, :, 0, 0])
        return torch.zeros(len(x), 2)

    Predictor(predict, pictures=kind)(torch.zeros(1, 1, 2, 2))
    torch.testing.assert_close(seen[0], torch.tensor(expected))
