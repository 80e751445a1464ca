"""What the page says is what the explainer says of the pictures that it shows."""

import itertools
import re

import pytest
import small_page
import torch
from small_page import data_of, decoded, explainer, frames_of, pictures

from lightning_ecinn import MNIST, Explainer, GenerativeClassifier
from lightning_ecinn.ecinn.certificates import log_prob_quantile
from lightning_ecinn.metrics import en
from lightning_ecinn.page import counterfactual_page, write_page
from lightning_ecinn.page.document import _checked_frames

HOSTILE = [
    "<script>alert(1)</script>", "</script><!--", "\"quotes\" & 'more'", "x" * 100, "🙂👩‍👩‍👧",
    "שלום עולם", "\u202eturned", "{{data}}", "\ud800", "&lt;b&gt;",
]  # fmt: skip
STEPS = ("tipping", "star", "certified", "convincing")


def paths(data):
    return [(i, path) for i, image in enumerate(data["images"]) for path in image["paths"]]


@pytest.fixture(scope="module")
def model():
    return explainer()


@pytest.fixture(scope="module")
def images():
    return pictures(3)


@pytest.fixture(scope="module")
def data(model, images):
    return data_of(counterfactual_page(model, images, labels=[0, 1, 2]))


def test_the_frames_are_the_pictures_of_the_explainer(model, images, data):
    for i, path in paths(data):
        frames = frames_of(path)
        for alpha, frame in zip(path["alphas"], frames, strict=True):
            cf = model.explain(images[i : i + 1], path["target"], alpha)
            assert torch.equal((255 * cf.image_8bit[0]).round().byte(), frame)
        assert torch.equal(frames[0], images[i])
        assert torch.equal(decoded(data["images"][i]["picture"])[..., 0], images[i, 0])


def test_what_is_said_is_said_of_these_very_pictures(model, images, data):
    quantiles = model.classifier.log_prob_quantiles
    for i, path in paths(data):
        frames = frames_of(path)
        said = torch.tensor(path["posterior"], dtype=torch.float64)
        torch.testing.assert_close(said, model.posterior(frames), rtol=0, atol=6e-6)
        log_prob = model.log_prob(frames)
        said = torch.tensor(path["log_prob"], dtype=torch.float64)
        torch.testing.assert_close(said, log_prob, rtol=0, atol=6e-3)
        said = torch.tensor(path["quantile"], dtype=torch.float64)
        torch.testing.assert_close(said, log_prob_quantile(log_prob, quantiles), rtol=0, atol=6e-5)
        distance = en((images[i].double() / 255).expand(frames.shape), frames.double() / 255)
        said = torch.tensor(path["distance"], dtype=torch.float64)
        torch.testing.assert_close(said, distance, rtol=0, atol=6e-4)


def test_the_marked_steps_are_among_the_frames_exactly(model, images, data):
    for i, path in paths(data):
        cfs = dict(zip(STEPS, model.explain_steps(images[i : i + 1], path["target"], STEPS),
                       strict=True))  # fmt: skip
        if path["target"] == data["images"][i]["source"]:
            assert path["alphas"] == [0]
            assert path["marks"] == {}
            continue
        assert set(path["marks"]) == set(STEPS)
        for step, frame in path["marks"].items():
            assert path["alphas"][frame] == cfs[step].alpha.item()
            seen = (255 * cfs[step].image_8bit[0]).round().byte()
            assert torch.equal(frames_of(path)[frame], seen)
        for step in ("certified", "convincing"):
            assert path["reasons"][step] == cfs[step].certificate.reason[0]
        certified = path["posterior"][path["marks"]["certified"]]
        assert certified[path["target"]] >= model.confidence


def test_frames_are_dense_and_go_beyond_the_last_mark(data):
    moving = [path for _, path in paths(data) if path["marks"]]
    assert len(moving) == 6
    for path in moving:
        alphas = path["alphas"]
        assert 24 <= len(alphas) <= 28
        assert alphas[0] == 0
        assert alphas == sorted(set(alphas))
        furthest = max(alphas[frame] for frame in path["marks"].values())
        assert alphas[-1] == pytest.approx(1.2 * furthest)
        gaps = [after - before for before, after in itertools.pairwise(alphas)]
        assert max(gaps) <= alphas[-1] / 23 + 1e-6


def test_colour_and_chosen_targets_and_names(images):
    model = explainer((3, 4, 4), names=["ant", "bee", "cow"])
    images = pictures(2, (3, 4, 4))
    page = counterfactual_page(
        model, images.double() / 255, targets=["cow", 0], names=["a", "b"], labels=["ant", "bee"]
    )
    data = data_of(page)
    assert data["size"] == [3, 4, 4]
    assert [(image["name"], image["label"]) for image in data["images"]] == [("a", 0), ("b", 1)]
    assert [path["target"] for _, path in paths(data)] == [2, 0, 2, 0]
    for i, path in paths(data):
        assert torch.equal(frames_of(path)[0], images[i])


def test_pairs_without_a_step_are_there():
    model = explainer()
    model.classifier.class_counts[2] = 0
    for i, path in paths(data_of(counterfactual_page(model, pictures(2)))):
        assert path["defined"] == (path["target"] != 2)
        if not path["defined"]:
            assert path["alphas"] == [0]
            assert path["marks"] == {}
            assert path["reasons"]["convincing"] == f"no step leads from {i} to 2"


def test_a_step_searched_for_in_vain_is_not_marked():
    model = explainer()
    with torch.no_grad():  # so flat that no step is so sure
        model.classifier.mixture.temperature.fill_(1e6)
    for _, path in paths(data_of(counterfactual_page(model, pictures(1), targets=[1, 2]))):
        assert "certified" not in path["marks"]
        assert "asked for 0.9" in path["reasons"]["certified"]


def test_hostile_names_stay_names(tmp_path):
    model = explainer(num_classes=10, names=HOSTILE)
    page = counterfactual_page(
        model, pictures(2, num_classes=10), targets=[1, 2], title=HOSTILE[0], names=HOSTILE[1:3]
    )
    data = data_of(page)
    assert data["classes"] == HOSTILE
    assert [image["name"] for image in data["images"]] == HOSTILE[1:3]
    assert "alert(1)</script>" not in page
    assert len(re.findall("<script", page)) == len(re.findall("</script", page)) == 2
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page
    assert write_page(tmp_path / "page.html", page).read_text() == page


def test_nothing_comes_from_elsewhere(model, images):
    page = counterfactual_page(model, images[:1], targets=1)
    assert not re.search(r"https?:|src=\"(?!data:)|@import|url\(|localStorage|fetch\(", page)
    assert not re.search(r"innerHTML|eval\(|document\.write|console\.", page)


def test_twenty_digits_to_all_classes_are_small_enough():
    digits, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(2)]
    model = Explainer.from_checkpoint("pretrained:mnist_small")
    page = counterfactual_page(model, digits, labels=labels)
    empty = len(counterfactual_page(model, digits[:1], targets=labels[:1]))
    assert empty + 10 * (len(page) - empty) < 5e6


def test_ten_colour_faces_are_small_enough():
    """Noise, which nothing compresses, in ten pictures of 64 x 64 to one other class each."""
    model = explainer((3, 16, 16), num_classes=2)
    torch.manual_seed(0)
    with torch.no_grad():
        model.classifier.log_prob_quantiles.zero_()
    page = counterfactual_page(model, pictures(1, (3, 16, 16), 2), targets=1)
    empty = len(counterfactual_page(model, pictures(1, (3, 16, 16), 2), targets=0))
    assert empty + 10 * 16 * (len(page) - empty) < 10e6


def test_an_existing_file_stays(tmp_path):
    place = tmp_path / "folder" / "page.html"
    assert write_page(str(place), "one") == place
    with pytest.raises(ValueError, match=r"page.html exists already, and is not overwritten"):
        write_page(place, "two")
    assert place.read_text() == "one"
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ValueError, match="exists already"):
        write_page(tmp_path / "link", "two")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"images": torch.zeros(2, 1, 5, 5)}, r"Images must be \(B, 1, 4, 4\), got \(2, 1, 5, 5\)"),
        ({"images": torch.zeros(0, 1, 4, 4)}, "at least one image"),
        ({"targets": [0, 0]}, "one is there twice"),
        ({"targets": []}, "there are none"),
        ({"targets": "all of them"}, "targets must be a class from 0 to 2 or its name"),
        ({"targets": 3}, "targets must be a class from 0 to 2"),
        ({"labels": [0]}, r"labels must be \(3,\), one for each image, got shape \(1,\)"),
        ({"labels": [0, 1, 7]}, "labels must be a class from 0 to 2"),
        ({"first": [0, 1]}, r"first must be \(3,\), one for each image, got shape \(2,\)"),
        ({"first": [0, 1, 2], "targets": [0, 1]}, "first must be classes of targets, but 2 is"),
        ({"names": "abc"}, "names must be a list of texts"),
        ({"names": [1, 2, 3]}, "names must be a list of texts"),
        ({"names": ["a"]}, "names must be 3 texts, one for each image, got 1"),
        ({"title": 3}, "title must be a text, got 3"),
        ({"frames": 1}, "frames must be a whole number from 2 to 200, got 1"),
        ({"frames": 2.5}, "frames must be a whole number"),
        ({"explainer": None}, "The page needs an Explainer, got NoneType"),
    ],
)
def test_mistakes_get_one_sentence(model, images, wrong, message):
    arguments = {"explainer": model, "images": images} | wrong
    first = [arguments.pop("explainer"), arguments.pop("images")]
    with pytest.raises(ValueError, match=message) as caught:
        counterfactual_page(*first, **arguments)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_classifier_that_can_explain_nothing_is_refused():
    network = {"blocks": (1,), "widths": (4,), "dropouts": (0,), "fc_width": 8}
    untrained = Explainer(GenerativeClassifier((1, 4, 4), 3, **network))
    with pytest.raises(ValueError, match="no class means yet"):
        counterfactual_page(untrained, pictures(1))
    of_two_channels = small_page.explainer((2, 4, 4))
    with pytest.raises(ValueError, match="1 or 3 channels, these have 2"):
        counterfactual_page(of_two_channels, pictures(1, (2, 4, 4)))


def test_nothing_is_printed(model, images, capsys):
    counterfactual_page(model, images[:1], targets=1, progress="Page")
    assert capsys.readouterr() == ("", "")


def test_frames_fit_into_a_browsers_canvas():
    assert _checked_frames(None, 28) == 24
    assert _checked_frames(None, 1024) == 12  # and the four marks: 16 x 1,024 pixels
    with pytest.raises(ValueError, match="from 2 to 12, got 13"):
        _checked_frames(13, 1024)
    with pytest.raises(ValueError, match="3000 pixels wide, too wide for a page"):
        _checked_frames(None, 3000)
