"""Files that are no checkpoints, or damaged, or made to harm: refused at once, in one sentence."""

import gzip
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from refusals import refused

from lightning_ecinn import Explainer, import_ibinn, load_classifier
from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.checkpoints import load_autoencoders, load_model, load_network
from lightning_ecinn.models.networks import ConvNetwork


def safetensors(path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.tex", "no checkpoint")


def torn(path):
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def old_module(path):
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)


OTHERS = {
    "empty": (lambda path: path.touch(), "it is empty"),
    "text": (lambda path: path.write_text("no chéckpoint"), "it is text"),
    "utf-16": (lambda path: path.write_text("no checkpoint", encoding="utf-16"), "it is text"),
    "lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "LFS"),
    "zip": (zipped, "it is a zip archive of thesis.tex"),
    "numpy": (lambda path: np.savez(path.open("wb"), a=np.zeros(3)), "numpy of a.npy"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"a")), "compressed by gzip"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "a pickle of Python obj"),
    "bytes": (lambda path: path.write_bytes(bytes(range(255, 0, -1))), "nothing in it is known"),
    "safetensors": (safetensors, "safetensors"),
    "torn": (torn, "it is damaged: its end is missing"),
    "module": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        r"linear.Linear), which could",
    ),
    "old module": (old_module, "objects of Python, which could run code"),
    "script": (
        lambda path: torch.jit.save(torch.jit.script(torch.nn.ReLU()), path),
        "a program of TorchScript",
    ),
    "exported": (
        lambda path: torch.export.save(
            torch.export.export(torch.nn.ReLU(), (torch.zeros(1),)), path
        ),
        "a program of torch.export, such as `export` writes",
    ),
    "weights": (
        lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), path),
        "it holds weights alone: weight, bias",
    ),
    "lightning": (
        lambda path: torch.save({"state_dict": {}, "pytorch-lightning_version": "2"}, path),
        "it is a Lightning checkpoint of another model",
    ),
    "published": (
        lambda path: torch.save({"inn": {}, "mu": 0, "phi": 0}, path),
        "which `import-ibinn` reads",
    ),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("read", [load_classifier, load_model, import_ibinn])
def test_what_it_is_instead_is_said(path, name, read):
    write, found = OTHERS[name]
    write(path)
    if name == "published" and read is import_ibinn:
        found = "weight mu is a int, no tensor"
    message = refused(read, path)
    if read is not import_ibinn or name not in ("weights", "lightning"):
        assert found in message
    if "does not fit" not in message and name != "published":
        assert "is not a checkpoint of" in message
        assert "; give " in message  # what to do


def test_a_folder_is_named_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"which is a folder: give the path of a \.ckpt"):
        load_classifier(tmp_path)


def test_a_flipped_bit_is_noticed(content, path):
    torch.save(content, path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda entry: entry.file_size)
    place = whole.index(archive_bytes(path, entry.filename))
    damaged = bytearray(whole)
    damaged[place + entry.file_size // 2] ^= 1
    path.write_bytes(damaged)
    message = refused(load_classifier, path)
    assert f"it is damaged: the checksum of its part {entry.filename} is wrong" in message


def archive_bytes(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


@pytest.mark.parametrize("how", ["without checksums", "before zip"])
def test_other_files_of_torch_are_read(content, path, how):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(how != "without checksums")
    try:
        torch.save(content, path, _use_new_zipfile_serialization=how != "before zip")
    finally:
        torch.serialization.set_crc32_options(before)
    state = load_classifier(path).state_dict()
    assert all(torch.equal(v, state[k[11:]]) for k, v in content["state_dict"].items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["mixture.component_means", "class_means", "flow"])
def test_weights_that_are_no_numbers(content, path, value, name):
    key = next(key for key in content["state_dict"] if name in key)
    content["state_dict"][key] = content["state_dict"][key].clone()
    content["state_dict"][key].view(-1)[-1] = value
    torch.save(content, path)
    for read in (load_classifier, load_model, Explainer.from_checkpoint):
        message = refused(read, path)
        assert (
            f"holds NaN or infinity in its weight {key.removeprefix('classifier.')} (1" in message
        )


def test_finite_in_float64_is_not_enough(content, path):
    key = "classifier.mixture.component_means"
    content["state_dict"][key] = torch.full((3, 16), 1e300, dtype=torch.float64)
    torch.save(content, path)
    assert "component_means (48 of 48" in refused(load_classifier, path)


def test_large_numbers_are_finite(content, path):
    content["state_dict"]["classifier.class_means"] = torch.full((3, 16), 3e38)
    torch.save(content, path)
    assert load_classifier(path).class_means.max() > 2e38


@pytest.mark.parametrize("entry", ["network", "autoencoders"])
def test_nan_in_other_models(path, entry):
    made = (
        ConvNetwork((1, 4, 4), 2, widths=[2]) if entry == "network" else Autoencoders((1, 4, 4), 2)
    )
    state = {f"{entry}.{key}": value for key, value in made.state_dict().items()}
    first = next(iter(state))
    state[first] = torch.full_like(state[first], float("nan"))
    torch.save({entry: made.config, "state_dict": state}, path)
    read = load_network if entry == "network" else load_autoencoders
    assert "holds NaN or infinity" in refused(read, path)
