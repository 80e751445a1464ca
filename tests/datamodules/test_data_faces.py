"""Drawn faces: labels, correlation, and the exact truth about what an attribute changes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lightning_ecinn.datamodules import DrawnFaces
from lightning_ecinn.datamodules.faces_drawing import draw_faces
from lightning_ecinn.datamodules.faces_parameters import ATTRIBUTES, draw_parameters


def faces(**settings):
    return DrawnFaces(
        **{"num_train": 24, "num_test": 16, "val_size": 4, "resolution": 32} | settings
    )


def some_parameters(num_faces, correlation=0.0, pose=1.0):
    return draw_parameters(num_faces, np.random.RandomState(0), correlation, pose)


def phi(attributes, first, second):
    return np.corrcoef(attributes[:, first].numpy(), attributes[:, second].numpy())[0, 1]


def test_description():
    data = DrawnFaces(attribute="Heavy_Makeup")
    assert data.image_shape == (3, 64, 64)
    assert data.class_names == ["not heavy makeup", "heavy makeup"]


def test_images_and_labels():
    data = faces()
    for split, number in (("train", 20), ("val", 4), ("test", 16)):
        images, labels, _ = data.dataset(split)[torch.arange(number)]
        assert images.shape == (number, 3, 32, 32)
        assert images.dtype == torch.uint8
        expected = data.parameters(split, torch.arange(number)).attributes[:, 0]
        assert torch.equal(labels, expected.long())


def test_the_seed_alone_decides():
    first, again, other = (faces(face_seed=seed).dataset("test").images for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


FIRST_FACE = {
    "attributes": [False, False, False, True],
    "shift": [0.027816, 0.037001],
    "skin": [0.788115, 0.618384, 0.481847],
    "hair": [0.552188, 0.297942, 0.207585],
    "top": [0.676690, 0.783955, 0.527587],
    "teeth": 0.044578,
}


def test_faces_stay_the_same_in_every_version():
    face = some_parameters(2)[0]
    for name, values in FIRST_FACE.items():
        assert getattr(face, name).tolist() == pytest.approx(values, abs=2e-6), name


def test_training_faces_can_be_shifted_and_their_truth_is_that_of_the_unshifted():
    data, still = faces(max_shift=3, batch_size=20), faces(batch_size=20)
    for one, is_moved in ((data, True), (still, False)):
        images, _, indices = next(iter(one.train_dataloader()))
        assert (images != one.dataset("train").images[indices]).any() == is_moved
    indices, classes = torch.arange(4), torch.zeros(4)
    assert torch.equal(
        *(one.changed_pixels("train", indices, classes, classes) for one in (data, still))
    )


def test_pose_moves_heads():
    still, moved = (some_parameters(200, pose=pose) for pose in (0.0, 0.5))
    for name, rest in {"shift": 0, "tilt": 0, "turn": 0, "size": 1}.items():
        assert (getattr(still, name) == rest).all()
        assert getattr(moved, name).std() > 0
    assert torch.equal(still.skin, moved.skin)


def test_training_and_test_faces_differ():
    data = faces(num_train=16, val_size=0)
    assert not torch.equal(data.dataset("train").images, data.dataset("test").images)


def test_all_attributes_label_the_same_faces():
    images = [faces(attribute=name).dataset("test").images for name in ATTRIBUTES]
    assert all(torch.equal(images[0], other) for other in images)


def test_a_face_does_not_depend_on_its_neighbours():
    parameters = some_parameters(5)
    together = draw_faces(parameters, 32)
    alone = torch.cat([draw_faces(parameters[k : k + 1], 32) for k in range(5)])
    assert torch.equal(together, alone)


def test_resolutions_show_the_same_face():
    parameters = some_parameters(8)
    large, small = (draw_faces(parameters, side).float() for side in (64, 32))
    assert (F.avg_pool2d(large, 2) - small).abs().mean() < 4  # grey levels


def test_attributes_are_fair_and_independent():
    attributes = some_parameters(20_000).attributes
    four_sigma = 4 / 20_000**0.5
    assert ((attributes.float().mean(0) - 0.5).abs() < four_sigma / 2).all()
    pairs = [(i, j) for i in range(4) for j in range(i)]
    assert all(abs(phi(attributes, i, j)) < four_sigma for i, j in pairs)


@pytest.mark.parametrize("correlation", [-0.7, 0.4, 0.9])
def test_lipstick_and_makeup_correlate_as_asked(correlation):
    attributes = some_parameters(20_000, correlation).attributes
    assert phi(attributes, 2, 3) == pytest.approx(correlation, abs=0.03)
    assert attributes[:, 3].float().mean() == pytest.approx(0.5, abs=0.02)
    assert phi(attributes, 0, 3) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(("correlation", "same"), [(1.0, True), (-1.0, False)])
def test_full_correlation(correlation, same):
    attributes = some_parameters(500, correlation).attributes
    assert ((attributes[:, 2] == attributes[:, 3]) == same).all()


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("split", ["val", "test"])
def test_counterparts_differ_exactly_in_the_changed_pixels(attribute, split):
    data = faces(attribute=attribute)
    indices = torch.tensor([3, 1])
    images, labels, _ = data.dataset(split)[indices]
    counterparts = data.counterparts(split, indices)
    mask = data.changed_pixels(split, indices, labels, 1 - labels)
    assert mask.shape == (2, 1, 32, 32)
    assert mask.dtype == torch.bool
    assert mask.flatten(1).any(1).all()
    assert torch.equal((images != counterparts).any(1, keepdim=True), mask)


@pytest.mark.parametrize("attribute", range(4))
def test_switching_twice_gives_the_face_back(attribute):
    parameters = some_parameters(6)
    values = parameters.attributes[:, attribute]
    switched = parameters.with_attribute(attribute, ~values)
    assert torch.equal(switched.with_attribute(attribute, values).attributes, parameters.attributes)
    others = [k for k in range(4) if k != attribute]
    assert torch.equal(switched.attributes[:, others], parameters.attributes[:, others])
    assert not torch.equal(draw_faces(parameters, 32), draw_faces(switched, 32))


def changed(attribute, count=40):
    """Mask (N, H, W) of what an attribute changes; in the upright, centred face."""
    p = some_parameters(count)
    yes, no = torch.ones(count, dtype=torch.bool), torch.zeros(count, dtype=torch.bool)
    pictures = [draw_faces(p.with_attribute(attribute, value), 64) for value in (yes, no)]
    return (pictures[0] != pictures[1]).any(1)


def rows(mask):
    return mask.any(2).float().mean(0)  # share of faces that change in each row


def test_attributes_change_the_parts_they_are_named_after():
    smile, cheekbones, lipstick, makeup = (rows(changed(k)) for k in range(4))
    mouth, eyes = slice(38, 56), slice(18, 32)
    for mouth_only in (smile, lipstick):
        assert mouth_only[mouth].max() == 1
        assert mouth_only[:36].sum() == 0
        assert mouth_only[58:].sum() == 0
    assert makeup[eyes].max() == 1
    assert makeup[52:].sum() == 0
    assert cheekbones[32:42].max() == 1
    assert cheekbones[:20].sum() == 0


def test_lipstick_changes_the_lips_alone():
    share = changed(2).float().mean((1, 2))
    assert share.min() > 0.002
    assert share.max() < 0.05


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("attribute", "Bald", "Smiling"),
        ("num_test", 0, "num_test is 0"),
        ("resolution", 8, "give 16 or more"),
        ("lipstick_makeup_correlation", 1.5, "from -1 to 1"),
        ("lipstick_makeup_correlation", float("nan"), "from -1 to 1"),
        ("pose", 1.1, "from 0 to 1"),
        ("face_seed", -1, "face_seed is -1"),
    ],
)
def test_mistakes(setting, value, words):
    with pytest.raises(ValueError, match=words):
        faces(**{setting: value})


def test_factors_are_the_four_attributes_each_switched_alone():
    data, indices = faces(attribute="Wearing_Lipstick"), torch.arange(5)
    factors = data.factors("test", indices)
    assert next(iter(factors)) == "Wearing_Lipstick"
    assert set(factors) == set(ATTRIBUTES)
    images = data.dataset("test")[indices].images
    own = factors["Wearing_Lipstick"]
    assert torch.equal(own.switched, data.counterparts("test", indices))
    for name, factor in factors.items():
        changed = (factor.switched != images).any(1, keepdim=True)
        assert torch.equal(factor.pixels, changed), name
        assert factor.pixels.flatten(1).any(1).all(), name
