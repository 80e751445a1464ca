"""A final name means a whole file: the old one stays until the new one is complete."""

import os
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from disk import full_disk

from lightning_ecinn.whole_files import WriteError, write_whole


def save_text(file):
    file.write(b"x" * 10_000)


def save_arrays(file):
    np.savez(file, a=np.random.default_rng(0).random(10_000))


def save_tensors(file):
    torch.save({"a": torch.zeros(10_000)}, file)


def save_figure(file):
    figure, axes = plt.subplots()
    axes.imshow(np.random.default_rng(0).random((50, 50)))
    figure.savefig(file, format="png")
    plt.close(figure)


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "folder" / "numbers.txt"
    with write_whole(path) as file:
        file.write(b"1, 2")
        assert not path.exists()
    assert path.read_bytes() == b"1, 2"
    assert os.listdir(path.parent) == ["numbers.txt"]


@pytest.mark.parametrize("save", [save_text, save_arrays, save_tensors, save_figure])
def test_a_full_disk_leaves_the_file_that_was_there_and_nothing_else(save, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    said = pytest.raises(WriteError, match=f"^{path} could not be written: File too large[.]$")
    with said, full_disk(room=1000), write_whole(path) as file:
        save(file)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_the_error_reaches_other_processes(tmp_path):
    error = WriteError(tmp_path, OSError(28, "No space left on device"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_else_goes_wrong_is_not_about_the_disk(tmp_path):
    with pytest.raises(KeyError), write_whole(tmp_path / "file"):
        raise KeyError("a mistake")
    with pytest.raises(FileNotFoundError, match="other"), write_whole(tmp_path / "file"):
        open(tmp_path / "other")  # noqa: SIM115
    assert os.listdir(tmp_path) == []


def test_a_place_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    said = pytest.raises(WriteError, match="taken/file could not be written")
    with said, write_whole(tmp_path / "taken" / "file"):
        pass


def test_what_a_killed_process_left_does_not_pile_up(tmp_path):
    path = tmp_path / "file"
    for _ in range(2):
        if os.fork() == 0:
            with write_whole(path) as file:
                file.write(b"half")
                os._exit(0)
        os.wait()
    assert os.listdir(tmp_path) == [".file.part"]
    with write_whole(path) as file:
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["file"]
