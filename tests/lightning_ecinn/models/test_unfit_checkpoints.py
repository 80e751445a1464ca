"""Checkpoints whose parts do not fit together, or ask for more than they hold."""

import zipfile

import pytest
import torch
from published import published
from refusals import NETWORK, refused

from lightning_ecinn import GenerativeClassifier, import_ibinn, load_classifier
from lightning_ecinn.models.checkpoints import read_checkpoint


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("widths", ["wide"], "its setting widths is ['wide'], not a list, each a whole number"),
        ("widths", "4", "its setting widths is 4, not a list"),
        ("widths", [-4], "lightning_ecinn: "),
        ("widths", [10**6], "a larger network than it holds weights for"),
        ("fc_width", 10**9, "a larger network than it holds weights for"),
        ("fc_width", 9, "has shape (8, 8), expected (9, 8)"),
        ("blocks", [10**9], "a larger network than it holds weights for"),
        ("blocks", [2.5], "its setting blocks is [2.5]"),
        ("fc_blocks", 10**9, "a larger network than it holds weights for"),
        ("num_classes", 10**12, "1000000000000 classes of images [1, 4, 4] have means of shape"),
        ("num_classes", "3", "its setting num_classes is 3, not a whole number"),
        ("num_classes", True, "its setting num_classes is True"),
        ("image_shape", [1, 10**6, 10**6], "have means of shape"),
        ("image_shape", [1, -4, -4], "image_shape must be"),
        ("clamp", float("nan"), "its setting clamp is nan, not a number"),
        ("clamp", "0.7", "its setting clamp is 0.7, not a number"),
        ("haar", "no", "its setting haar is no, not true or false"),
        ("dropouts", [7.0], "dropout"),
        ("class_names", ["a", "b"], "one name for each of 3 classes"),
        ("class_names", [1, 2, 3], "its setting class_names is [1, 2, 3]"),
        ("colour\x1b[2J", "red", r"a setting colour\x1b[2J, which is not known here"),
        ("init_scale", -1.0, "init_scale must be positive"),
    ],
)
def test_settings_that_no_network_has(content, path, name, value, message):
    content["classifier"] = {**content["classifier"], name: value}
    torch.save(content, path)
    said = refused(lambda path: read_checkpoint(path, "classifier"), path)
    assert "a generative classifier, does not fit this version of lightning_ecinn: " in said
    assert message in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["classifier"].pop("num_classes"), "its setting num_classes is missing"),
        (lambda c: c.update(classifier=[1]), "its settings are a list, not a dict"),
        (lambda c: c.update(state_dict=[1]), "its weights are a list, not a dict"),
        (lambda c: c.update(hyper_parameters=[1]), "its hyper_parameters are no dict"),
        (lambda c: c["state_dict"].update({"classifier.a": 1}), "its weight a is a int, no tensor"),
        (
            lambda c: c["state_dict"].update({"classifier.a": torch.zeros(2)}),
            "it has a weight a, which is not known here",
        ),
        (
            lambda c: c["state_dict"].pop("classifier.class_means"),
            "it has no weight class_means",
        ),
        (
            lambda c: c["state_dict"].update({"classifier.class_counts": torch.zeros(3)}),
            "its weight class_counts is of torch.float32, expected torch.int64",
        ),
        (
            lambda c: c["state_dict"].update({"classifier.a": torch.zeros(2).to_sparse()}),
            "its weight a is no plain tensor",
        ),
        (
            lambda c: c["state_dict"].update({"classifier.a": torch.zeros(2, device="meta")}),
            "its weight a is no plain tensor",
        ),
        (
            lambda c: c["state_dict"].update({"classifier.a": torch.zeros(1).expand(10**6, 10**6)}),
            "its weights claim to be larger than the file",
        ),
        (
            lambda c: c["state_dict"].update(
                {k: torch.zeros_like(v) for k, v in c["state_dict"].items() if "rotation" in k}
            ),
            "one of its fixed matrices has no inverse",
        ),
    ],
)
def test_parts_that_do_not_fit(content, path, change, message):
    content["classifier"] = dict(content["classifier"])
    change(content)
    torch.save(content, path)
    assert message in refused(lambda path: read_checkpoint(path, "classifier"), path)


class Bomb:
    def __reduce__(self):
        return bytearray, (10**9,)


@pytest.mark.parametrize("is_zip", [True, False])
def test_little_that_becomes_much_is_not_unpickled(content, path, is_zip):
    torch.save({**content, "a": Bomb()}, path, _use_new_zipfile_serialization=is_zip)
    assert "a few bytes can fill the memory" in refused(load_classifier, path)


def test_a_packed_checkpoint_is_not_unpacked(content, path, tmp_path):
    torch.save({**content, "a": torch.zeros(10**6)}, tmp_path / "whole.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "whole.ckpt") as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert "packed into less than its size" in refused(load_classifier, path)


def test_names_of_classes_do_not_act_on_a_terminal(content, path):
    content["classifier"] = {**content["classifier"], "class_names": ["a\x1b[2J", "b\n", "c"]}
    torch.save(content, path)
    assert load_classifier(path).class_names == (r"a\x1b[2J", r"b\n", "c")


def test_reading_takes_no_random_numbers(content, path):
    torch.save(content, path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_classifier(path)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(inn=3), "entry 'inn' does not fit: it is no dict"),
        (lambda c: c.update(inn={}), "the entries 'inn' hold no coupling block"),
        (lambda c: c.update(mu=[1]), "its weight mu is a list, no tensor"),
        (lambda c: c.update(mu=torch.full((1, 3, 64), float("nan"))), "NaN or infinity in its w"),
        (lambda c: c.update(phi=torch.tensor([1.0, float("inf"), 0])), "in its weight phi (1 of 3"),
        (lambda c: c["inn"].update({"module_list.3.s.0.weight": torch.tensor(1.0)}), ""),
        (lambda c: c["inn"].update({"module_list.3.w": torch.tensor(1.0)}), "other shapes"),
    ],
)
def test_published_checkpoints_that_do_not_fit(path, change, message):
    saved = published(GenerativeClassifier((1, 8, 8), 3, **NETWORK))
    change(saved)
    torch.save(saved, path)
    assert message in refused(import_ibinn, path)


def test_a_published_network_larger_than_its_weights(path):
    saved = published(GenerativeClassifier((1, 8, 8), 3, **NETWORK))
    (key,) = (key for key in saved["inn"] if key.endswith("s1.0.weight"))
    saved["inn"][key] = torch.zeros(10**6, 1)
    torch.save(saved, path)
    assert "a larger network than it holds weights for" in refused(import_ibinn, path)
