"""Files and folders of pictures, in order, and what is wrong with them."""

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_ecinn import Explainer
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.pictures.files import find_pictures
from lightning_ecinn.pictures.reading import read_images


class Like:
    image_shape = (1, 8, 8)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("b.png", "a.PNG", "sub/c.jpg", "sub/.hidden.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (12, 8), 50 * number).save(path, "PNG")
    (tmp_path / "notes.txt").write_text("no picture, and no name of one")
    return tmp_path


def test_folders_are_read_in_order_each_file_once(folder):
    names = [path.name for path in find_pictures([folder / "b.png", folder])]
    assert names == ["b.png", "a.PNG", "c.jpg"]
    images = read_images([folder / "b.png", str(folder)], like=Like)
    assert images.shape == (3, 1, 8, 8)
    assert images[:, 0, 0, 0].tolist() == [0, 50, 100]
    assert torch.equal(read_images(folder / "b.png", like=Like), images[:1])


def test_they_are_cut_or_squeezed_as_the_model_says(tmp_path):
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    like = Like()
    assert (read_images(tmp_path, like=like) == 255).all()
    like.crop = False
    squeezed = read_images(tmp_path, like=like)
    assert squeezed[0, 0, 0, 0] < 10
    assert torch.equal(read_images(tmp_path, like=like, crop=True), read_images(tmp_path, Like))


def test_what_is_not_there_or_no_picture_is_said(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "broken2.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken.png cannot be read: .* So it is with 1 more\."):
        read_images(folder, like=Like)
    for paths, message in (
        ([], "No picture was given"),
        (folder / "none.png", "There is no file and no folder .*none.png"),
    ):
        with pytest.raises(ValueError, match=message):
            read_images(paths, like=Like)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no picture: names of pictures end with \.avif"):
        read_images(folder / "empty", like=Like)


def test_an_explainer_takes_pictures_as_they_are(folder):
    classifier = GenerativeClassifier((1, 8, 8), 2, blocks=[1, 1], widths=[4, 4], fc_width=4)
    classifier.class_means.copy_(torch.randn_like(classifier.class_means))
    classifier.class_counts.fill_(1)
    explainer = Explainer(classifier.double())
    images = read_images(folder, like=explainer)
    expected = explainer.posterior(images)
    paths = find_pictures([folder])
    torch.testing.assert_close(explainer.posterior(paths), expected)
    squeezed = Explainer(classifier, crop=False).posterior([Image.open(path) for path in paths])
    torch.testing.assert_close(squeezed, expected)  # one grey: cut or not
