"""Explaining any classifier through a small flow."""

import pytest
import torch
from torch import nn

from lightning_ecinn import (
    BlackBoxExplainer,
    ClassMeans,
    Explainer,
    GenerativeClassifier,
    Predictor,
)
from lightning_ecinn.blackbox.line_search import MOST_ATTEMPTS
from lightning_ecinn.blackbox.means import counts_in_words

SHAPE, D = (1, 4, 4), 16


@pytest.fixture(scope="module")
def flow():
    """A random flow whose two classes are none of ours."""
    torch.manual_seed(0)
    model = GenerativeClassifier(
        SHAPE, 2, blocks=[2], widths=[6], dropouts=[0.0], fc_width=12, init_scale=0.95
    )
    model.log_prob_quantiles.copy_(torch.linspace(-100, 100, len(model.log_prob_quantiles)))
    return Explainer(model.double())


@pytest.fixture(scope="module")
def images():
    """Three kinds: bright above, below, or left, with noise."""
    generator = torch.Generator().manual_seed(1)
    pictures = 0.3 * torch.rand(90, *SHAPE, generator=generator) + 0.1
    pictures[0::3, :, :2] += 0.5
    pictures[1::3, :, 2:] += 0.5
    pictures[2::3, :, :, :2] += 0.5
    return (pictures * 255).round() / 255


def scores(x):
    """Logits (B, 3), linear in the pixels."""
    parts = (x[:, :, :2], x[:, :, 2:], x[:, :, :, :2])
    return torch.stack([12 * part.mean((1, 2, 3)) for part in parts], 1)


@pytest.fixture(scope="module")
def explainer(flow, images):
    return Explainer.for_classifier(flow, scores, images, ["above", "below", "left"])


def test_class_means_are_over_images_as_the_classifier_sees_them(flow, images, explainer):
    means = ClassMeans(3, D)
    means.update(flow.encode(images)[0], scores(images).argmax(1))
    expected, counts = means.compute()
    torch.testing.assert_close(explainer.class_means, expected)
    assert explainer.class_counts.tolist() == counts.tolist()
    assert counts.sum() == len(images)


def test_batches_and_loaders_give_the_same_means_as_all_images(flow, images, explainer):
    loader = [(batch, "labels") for batch in images.split(7)]
    again = Explainer.for_classifier(flow, scores, loader)
    torch.testing.assert_close(again.class_means, explainer.class_means)
    assert again.class_names == ("0", "1", "2")


@pytest.mark.parametrize("alpha", ["tipping", "star", "certified"])
def test_the_classifier_says_so_there_and_not_a_tolerance_before(explainer, images, alpha):
    cf = explainer.explain(images[:9], "below", alpha)
    moved = cf.source != cf.target

    def passes(length):
        seen = scores(explainer.explain(images[:9], "below", length).image_8bit).softmax(1)
        chance = seen[:, 1]
        if alpha == "tipping":
            return chance >= seen.gather(1, cf.source.unsqueeze(1)).squeeze(1)
        wanted = explainer.path.confidence if alpha == "certified" else 0
        return (seen.argmax(1) == 1) & (chance >= wanted)

    assert moved.sum() == 6
    assert passes(cf.alpha)[moved].all()
    assert not passes(cf.alpha - 0.0033)[moved].any()
    assert cf.certificate.holds[moved].all() or alpha == "tipping"


def test_of_our_own_classifier_the_search_agrees_with_the_closed_forms(images):
    torch.manual_seed(0)
    model = GenerativeClassifier(
        SHAPE, 3, blocks=[2], widths=[6], dropouts=[0.0], fc_width=12, init_scale=0.95
    ).double()
    with torch.no_grad():
        z, _ = model.eval().encode(images)
        means = torch.stack([z[k::3].mean(0) for k in range(3)])
        model.mixture.component_means.copy_(means)
        model.class_means.copy_(means)
    model.class_counts.fill_(1)
    ours = Explainer(model)
    asked = BlackBoxExplainer(
        ours, Predictor(ours.posterior), model.class_means, model.class_counts
    )
    for alpha in ("tipping", "convincing", "star"):
        closed, found = (one.explain(images[:12], [0, 1, 2] * 4, alpha) for one in (ours, asked))
        # Within the tolerance of the search, and what rounding to 8 bits moves the boundary by.
        torch.testing.assert_close(found.alpha, closed.alpha, rtol=0, atol=0.0033 + 0.01)
        assert (found.source == closed.source).all()


def test_certificates_speak_of_the_classifier(flow, explainer, images):
    cf = explainer.explain(images[:6], "left", "certified")
    certificate = cf.certificate
    seen = scores(cf.image_8bit).softmax(1)
    torch.testing.assert_close(certificate.posterior, seen.double(), rtol=1e-5, atol=1e-6)
    assert (certificate.predicted == seen.argmax(1)).all()
    torch.testing.assert_close(certificate.log_prob_after, flow.log_prob(cf.image_8bit))
    assert ((certificate.quantile_after > 0) & (certificate.quantile_after < 1)).all()
    assert (certificate.reconstruction_error < 1e-6).all()
    assert (cf.forward_evaluations <= MOST_ATTEMPTS + 1).all()
    assert (cf.forward_evaluations == cf.inverse_evaluations + 1).all()


def test_labels_alone_will_do(flow, explainer, images):
    blind = Explainer.for_classifier(
        flow, lambda x: scores(x).argmax(1).numpy(), images, ["above", "below", "left"]
    )
    theirs, ours = (one.explain(images[:9], "above", "star") for one in (blind, explainer))
    assert torch.equal(theirs.alpha, ours.alpha)
    assert torch.equal(blind.explain(images[:9], 0, "tipping").alpha, ours.alpha)
    assert theirs.certificate.tipping_gap.isfinite().all()


def test_several_targets_and_steps_at_once(explainer, images):
    targets = torch.arange(3).expand(4, 3)
    tipping, convincing, own = explainer.explain_steps(
        images[:4], targets, ["tipping", "convincing", 0.7]
    )
    assert tipping.image.shape == (4, 3, *SHAPE)
    same = tipping.source == tipping.target
    assert same.sum() == 4
    assert (tipping.alpha[same] == 0).all()
    assert torch.equal(tipping.image[same], tipping.input[same])
    torch.testing.assert_close(
        convincing.alpha[~same], 0.8 + tipping.alpha[~same] / 2, rtol=0, atol=1e-9
    )
    assert (own.alpha[~same] == 0.7).all()
    one = explainer.explain(images[1], 2, 0.7)
    torch.testing.assert_close(one.image[0], own.image[1, 2])


def never_below(x):
    """Logits whose second rises with one pixel only, far beyond what class means change."""
    said = scores(x)
    return torch.cat((said[:, :1], 40 * x[:, 0, 3, 3:] - 25, said[:, 2:]), 1)


def test_where_the_classifier_never_says_so_it_is_said_or_kept(flow, images, explainer):
    means = explainer.class_means.clone()
    means[1] = 2 * means[0] - means[1]  # a direction that leads away from it
    explainer = BlackBoxExplainer(
        flow, Predictor(never_below), means, torch.ones(3), ["above", "below", "left"]
    )
    with pytest.raises(ValueError, match="from above to below the classifier does not say"):
        explainer.explain(images[:3:3], "below")
    kept = explainer.explain(images[:1], "below", undefined="keep")
    assert not kept.defined.any()
    assert torch.equal(kept.image, kept.input)
    never = "the classifier does not say below{} up to 3 times the difference of the class means"
    assert kept.certificate.reason == [never.format("")]
    kept = explainer.explain(images[:1], [["above", "below"]], "certified", undefined="keep")
    assert kept.certificate.reason == [["", never.format(" with at least 0.9")]]
    explainer.second_direction = True
    turned = explainer.explain(images[:1], "below", "star")
    assert turned.certificate.predicted.tolist() == [1]
    assert turned.certificate.holds.all()
    assert (turned.forward_evaluations > kept.forward_evaluations + 2).all()


def test_a_second_direction_needs_gradients(flow, images):
    explainer = Explainer.for_classifier(
        flow, lambda x: [0] * (len(x) - 1) + [1], images, ["a", "b"], second_direction=True
    )
    explainer.predictor.predict = lambda x: [0] * len(x)
    with pytest.raises(ValueError, match="needs the classifier's gradients"):
        explainer.explain(images[:1], "b")


def test_a_class_that_the_classifier_never_says_has_no_mean(flow, images):
    explainer = Explainer.for_classifier(
        flow, lambda x: torch.cat((scores(x), scores(x)[:, :1] - 9), 1), images
    )
    assert explainer.class_counts[3] == 0
    with pytest.raises(ValueError, match="took no image for 3, so there is no class mean"):
        explainer.explain(images[:1], 3)
    kept = explainer.explain(images[:1], 3, undefined="keep")
    assert not kept.defined.any()
    assert kept.certificate.reason == ["the classifier took no image for 3: it has no mean"]


def test_it_is_saved_and_read_back_for_the_same_classifier_only(tmp_path, explainer, images):
    path = tmp_path / "black_box.ckpt"
    explainer.save(path)
    with pytest.raises(ValueError, match="nothing is overwritten"):
        explainer.save(path)
    again = BlackBoxExplainer.from_checkpoint(path, scores, dtype=torch.float64)
    theirs, ours = (one.explain(images[:5], "left") for one in (again, explainer))
    torch.testing.assert_close(theirs.image, ours.image, rtol=0, atol=1e-5)
    assert again.class_names == ("above", "below", "left")
    with pytest.raises(ValueError, match="The classifier is not the one whose class means"):
        BlackBoxExplainer.from_checkpoint(path, lambda x: scores(1 - x))
    with pytest.raises(ValueError, match="no class means of another classifier"):
        BlackBoxExplainer.from_checkpoint("pretrained:mnist_small", nn.Flatten())


def test_what_does_not_fit_is_refused(flow, explainer, images):
    with pytest.raises(ValueError, match=r"must be \(B, 1, 4, 4\)"):
        Explainer.for_classifier(flow, scores, images[..., :3])
    with pytest.raises(ValueError, match="need images, got none"):
        Explainer.for_classifier(flow, scores, [])
    with pytest.raises(ValueError, match="as a data loader gives, got None"):
        Explainer.for_classifier(flow, scores, None)
    with pytest.raises(ValueError, match=r"flow must be an Explainer, .* got 'flow.ckpt'"):
        Explainer.for_classifier("flow.ckpt", scores, images)
    with pytest.raises(ValueError, match="'a' names 2 classes"):
        Explainer.for_classifier(flow, scores, images, ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"a Predictor, which has .*: give it pictures where"):
        Explainer.for_classifier(flow, Predictor(scores), images, pictures="uint8")
    with pytest.raises(ValueError, match=r"must be \(3, 16\), got \(3, 4\)"):
        BlackBoxExplainer(flow, Predictor(scores), torch.zeros(3, 4), torch.ones(3))
    with pytest.raises(ValueError, match="its name: above, below, left"):
        explainer.explain(images[:1], "right")
    for target in ("left", "above"):  # the image is one of "above": nothing moves, "far" is no step
        with pytest.raises(ValueError, match="alpha must be"):
            explainer.explain(images[:1], target, "far")


def test_counts_in_words_name_the_most_frequent_of_many_classes():
    assert counts_in_words(["a", "b"], torch.tensor([1200, 0])) == "a 1,200, b 0"
    many = counts_in_words([f"c{k}" for k in range(1000)], torch.arange(1000))
    assert many.startswith("c980 980, c981 981, ")
    assert many.endswith("c999 999 and 980 other classes")


def test_a_predictor_learns_from_the_names_how_many_classes_there_are(flow, images):
    labels = Predictor(lambda x: scores(x).argmax(1))
    made = Explainer.for_classifier(flow, labels, images, range(3))
    assert (labels.num_classes, made.class_names) == (3, ("0", "1", "2"))


def test_images_are_encoded_and_asked_about_once_for_all_steps(flow, images, monkeypatch):
    asked = []
    explainer = Explainer.for_classifier(
        flow, lambda x: (asked.append(len(x)), scores(x))[1], images
    )
    asked.clear()
    steps = explainer.explain_steps(images[:3], [[1, 2]] * 3, [0.3, 0.6, 0.9])
    assert asked[0] == 3
    moving = int((steps[0].source != steps[0].target).sum())
    assert asked[1:] == [moving] * 3
