"""The rows of a batch beside direct calls, and what is drawn of a few images."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lightning_ecinn import ConvNetwork, Explainer, GenerativeClassifier
from lightning_ecinn.evaluation import (
    Judges,
    check_alphas,
    direction_cosines,
    faithfulness,
    measured,
    posteriors_along_path,
    properties_of,
)
from lightning_ecinn.metrics import label_variation
from lightning_ecinn.models.autoencoders import Autoencoders

K, SHAPE = 3, (1, 4, 4)


@pytest.fixture(scope="module")
def explainer():
    """A random flow whose means lie at the latents of three pictures, in float64."""
    torch.manual_seed(0)
    model = GenerativeClassifier(
        SHAPE, K, blocks=(2,), widths=(6,), dropouts=(0.0,), fc_width=12, init_scale=0.95
    )
    model = model.double().eval()
    anchors = torch.rand(K, *SHAPE, generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        means, _ = model.encode(anchors.double())
        model.mixture.component_means.copy_(means)
        model.class_means.copy_(means + 0.1 * means.std() * torch.randn_like(means))
    model.class_counts.fill_(1)
    return Explainer(model)


@pytest.fixture(scope="module")
def judges():
    torch.manual_seed(1)
    oracle = ConvNetwork(SHAPE, K, widths=(4,)).eval()
    with torch.no_grad():
        oracle.head.weight *= 100  # opinions
    return Judges(oracle, True, Autoencoders(SHAPE, K, width=2).eval())


@pytest.fixture(scope="module")
def batch(explainer):
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (9, *SHAPE), generator=generator, dtype=torch.uint8)
    source = explainer.posterior(images).argmax(1)
    target = (source + torch.tensor([1, 2, 0] * 3)) % K
    return {"images": images, "label": source, "index": torch.arange(9) + 20, "target": target}


@pytest.mark.parametrize("step", ["tipping", "convincing", "star", "certified", 1.25])
def test_rows_are_what_direct_calls_say(explainer, judges, batch, step):
    rows = measured(explainer, batch, step, judges)
    x = batch["images"].double() / 255
    cf = explainer.explain(batch["images"], batch["target"], step, undefined="keep")
    c = (cf.image * 255).round() / 255
    posterior = explainer.posterior(c)
    q = batch["target"]

    def same(name, expected):
        assert rows[name].shape == (9,)
        assert np.allclose(rows[name], expected.detach().numpy(), rtol=1e-6, atol=1e-9), name

    assert set(rows["step"]) == {step if isinstance(step, str) else "1.25"}
    same("index", batch["index"])
    same("source", cf.source)
    same("already", cf.source == q)
    same("defined", cf.defined)
    same("alpha", cf.alpha)
    same("predicted", posterior.argmax(1))
    same("validity", posterior.argmax(1) == q)
    same("flip", posterior.argmax(1) != cf.source)
    same("target_posterior", posterior.gather(1, q[:, None])[:, 0])
    same("log_prob_before", explainer.log_prob(x))
    same("log_prob_after", explainer.log_prob(c))
    difference = (x - c).flatten(1)
    same("l1", difference.abs().sum(1))
    same("l2", difference.norm(dim=1))
    same("en", difference.abs().sum(1) + difference.norm(dim=1))
    before, after = (judges.oracle.posterior(k.float()) for k in (x, c))
    same("oracle_class", after.argmax(1))
    same("oracle_agreement", after.argmax(1) == q)
    middle = (before + after) / 2
    divergences = [(k * (k / middle).log()).sum(1).double() for k in (before, after)]
    assert np.allclose(rows["label_variation"], sum(divergences).detach() / 2, atol=1e-6)
    if step == "convincing":
        assert rows["label_variation"].max() > 1e-3
    v, reconstruct = c - 0.5, judges.autoencoders.reconstruct
    to_q, to_p = ((v - reconstruct(v, k)).flatten(1).square().sum(1) for k in (q, cf.source))
    assert np.allclose(rows["im1"], (to_q / (to_p + 1e-5)).detach().numpy(), rtol=1e-4)
    same("inverse_evaluations", cf.inverse_evaluations)
    assert (rows["seconds"] > 0).all()
    assert rows["reason"].tolist() == cf.certificate.reason
    assert rows["features"].shape == rows["input_features"].shape == (9, 4)
    assert "heatmap_mass" not in rows


def test_what_already_is_the_target_stays(explainer, batch):
    rows = measured(explainer, batch, "convincing", Judges())
    already = rows["already"]
    assert already.tolist() == [False, False, True] * 3
    assert (rows["l1"][already] == 0).all()
    assert rows["validity"][already].all()
    assert "oracle_class" not in rows
    assert "im1" not in rows


def test_an_oracle_of_other_classes_sees_no_target(explainer, judges, batch):
    rows = measured(explainer, batch, "convincing", Judges(judges.oracle, False))
    assert "oracle_agreement" not in rows
    assert "label_variation" in rows


def test_oracles_of_other_labels_say_whether_their_answers_stay(explainer, judges, batch):
    torch.manual_seed(2)
    other = ConvNetwork(SHAPE, 5, widths=(4,)).eval()
    with torch.no_grad():
        other.head.weight *= 100
    rows = measured(explainer, batch, "convincing", Judges(others={"hair": other}))
    cf = explainer.explain(batch["images"], batch["target"], "convincing", undefined="keep")
    before, after = (other.posterior(k.float()) for k in (cf.input, cf.image_8bit))
    kept = before.argmax(1) == after.argmax(1)
    assert rows["answer_kept_of_hair"].tolist() == kept.tolist()
    assert np.allclose(rows["label_variation_of_hair"], label_variation(before, after).detach())
    assert "label_variation" not in rows


def test_what_survives_is_measured_of_the_picture_in_8_bits(explainer, batch):
    before = properties_of(batch["images"].double() / 255)
    rows = measured(explainer, batch, "convincing", Judges(), before=before)
    cf = explainer.explain(batch["images"], batch["target"], "convincing", undefined="keep")
    after = properties_of(cf.image_8bit)
    for name, column in before.items():
        assert np.array_equal(rows[f"{name}_before"], column, equal_nan=True)
        assert np.allclose(rows[f"{name}_after"], after[name], equal_nan=True)
    already = rows["already"]
    assert np.allclose(rows["ink_after"][already], rows["ink_before"][already])


def test_true_pixels(explainer, batch):
    """A mask of everything holds the whole heatmap; of no known pixel nothing is said."""

    def mask(source, target):
        everything = torch.ones(9, 1, 4, 4, dtype=torch.bool)
        everything[0] = False
        return everything

    rows = measured(explainer, batch, "convincing", Judges(), mask)
    for name in ("heatmap_mass", "heatmap_pointing", "heatmap_rank"):
        assert math.isnan(rows[name][0])
        assert rows[name][[1, 3, 4]] == pytest.approx(1), name


def test_posteriors_tie_at_the_tipping_point(explainer, batch):
    moving = batch["target"] != batch["label"]
    images, target = batch["images"][moving], batch["target"][moving]
    t = [0.0, 0.5, 1.0, 1.5]
    source, followed = posteriors_along_path(explainer, images, target, t)
    assert source.shape == followed.shape == (6, 4)
    assert torch.allclose(source[:, 2], followed[:, 2], atol=1e-10)
    assert (source[:, :2] > followed[:, :2]).all()
    assert (source[:, 3] < followed[:, 3]).all()
    posterior = explainer.posterior(images).gather(1, target[:, None])[:, 0]
    assert torch.allclose(followed[:, 0], posterior)


def test_cosines_of_directions():
    """Means that are the mixture's point straight; those turned by 60 degrees have 1/2."""
    mu = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
    a = math.pi / 3
    turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    mixture = SimpleNamespace(component_means=mu)
    counts = torch.tensor([1, 1, 1])
    for means, cosine in ((mu, 1.0), (mu @ turn.T + 5, 0.5)):
        found = direction_cosines(
            SimpleNamespace(mixture=mixture, class_means=means, class_counts=counts)
        )
        assert found.diagonal().isnan().all()
        others = found[~torch.eye(3, dtype=torch.bool)]
        assert torch.allclose(others, torch.full_like(others, cosine), atol=1e-6)
    counts = torch.tensor([1, 0, 1])
    found = direction_cosines(SimpleNamespace(mixture=mixture, class_means=mu, class_counts=counts))
    assert found[1].isnan().all()
    assert found[:, 1].isnan().all()
    assert not found[0, 2].isnan()


def test_curves_go_from_the_image_to_black_and_back(explainer, batch):
    moving = batch["target"] != batch["label"]
    images, source = batch["images"][moving], batch["label"][moving]
    curves = faithfulness(explainer, images, source, batch["target"][moving], steps=4)
    black = explainer.posterior(torch.zeros_like(images)).gather(1, source[:, None])[:, 0]
    whole = explainer.posterior(images).gather(1, source[:, None])[:, 0]
    for method in ("ecinnh", "integrated_gradients"):
        deletion, insertion = (curves[kind][method] for kind in ("deletion", "insertion"))
        assert deletion.shape == insertion.shape == (6, 5)
        assert torch.allclose(deletion[:, [0, -1]], torch.stack((whole, black), 1))
        assert torch.allclose(insertion[:, [0, -1]], torch.stack((black, whole), 1))


@pytest.mark.parametrize(
    ("alphas", "message"),
    [
        ([], "there are none"),
        (["halfway"], "there is no step 'halfway'; give some of tipping"),
        ([-1.0], "there is no step -1.0"),
        ([math.nan], "there is no step nan"),
        (["star", 0.5, "star"], "a step is there twice"),
    ],
)
def test_steps_that_are_none(alphas, message):
    with pytest.raises(ValueError, match=message):
        check_alphas(alphas)
