"""The published IB-INN and ECINN code's own numbers, from a folder beside the repository."""

import math
from pathlib import Path

import pytest
import torch

from lightning_ecinn import Explainer, import_ibinn
from lightning_ecinn.ecinn.class_means import ClassMeans
from lightning_ecinn.ecinn.steps import alpha_convincing, alpha_tipping, class_direction
from lightning_ecinn.flows import CouplingBlock, DCTPooling
from lightning_ecinn.models.published import _nodes, _translated
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.losses import information_bottleneck_loss

FOLDER = Path(__file__).parents[4] / "shared" / "fixtures"
CHECKPOINT = FOLDER / "ibinn_mnist_small.pt"
BETA = 1.4265
# The published code keeps smoothed labels (0.991, 0.001, ...) in float32, even in its float64 run:
# whatever depends on them is rounded like them.
SMOOTHED = 1e-7

pytestmark = pytest.mark.skipif(
    not CHECKPOINT.is_file(), reason=f"the published code's outputs are not in {FOLDER}"
)


@pytest.fixture(scope="module")
def expected():
    return torch.load(FOLDER / "ibinn_mnist_small_expected64.pt", weights_only=True)


@pytest.fixture(scope="module")
def steps():
    return torch.load(FOLDER / "ibinn_mnist_small_train_steps64.pt", weights_only=True)


@pytest.fixture(scope="module", params=[torch.float64, torch.float32])
def case(request, expected):
    """The classifier in one precision, what it makes of the images, and the tolerance."""
    classifier = import_ibinn(CHECKPOINT, dtype=request.param)
    with torch.no_grad():
        z, log_det = classifier.flow(expected["x"].to(request.param))
    tolerance = 1e-9 if request.param is torch.float64 else 1e-4
    return classifier, z, log_det, tolerance


def agree(ours, theirs, tolerance):
    """Largest difference relative to the largest value."""
    error = (ours.double() - theirs.double()).abs().max() / theirs.double().abs().max()
    assert error.item() < tolerance


def reference_excess(classifier):
    """What the published log-determinant has too much: the same for every image.

    Its DCT counts C N^2 log(1/2); its rotations, rounded to float32, count as orthogonal.
    """
    excess = 0.0
    for block in classifier.flow.module_list:
        if isinstance(block, DCTPooling):
            excess += block.channels * block.size**2 * math.log(0.5) - block.log_det
        if isinstance(block, CouplingBlock):
            channels = sum(block.splits)
            excess -= classifier.num_dims // channels * block.rotation.log_abs_det
    return excess


def test_latents(case, expected):
    _, z, _, tolerance = case
    agree(z, expected["z"], tolerance)


def test_log_determinant(case, expected):
    classifier, _, log_det, tolerance = case
    excess = reference_excess(classifier)
    assert excess == pytest.approx(27.0561, abs=1e-3)
    agree(log_det, expected["log_jac"] - excess, tolerance)


def test_log_determinant_is_the_jacobians(case, expected):
    """The published sample has the determinant of the whole Jacobian: that is ours."""
    _, _, log_det, tolerance = case
    agree(log_det[:1], expected["slogdet_sample0"].reshape(1), tolerance)


def test_logits_and_losses(case, expected):
    classifier, z, log_det, tolerance = case
    mixture = classifier.mixture
    logits = mixture.logits(z)
    agree(logits, expected["logits"], tolerance)
    for smoothing, key in ((0.01, "L_y"), (0.0, "L_y_hard")):
        loss = information_bottleneck_loss(
            logits,
            log_det + reference_excess(classifier),
            mixture.mixture_logits,
            expected["label"],
            beta=BETA,
            num_dims=classifier.num_dims,
            label_smoothing=smoothing,
        )
        agree(loss.l_x, expected["L_x"], tolerance)
        agree(-loss.l_y, expected[key], max(tolerance, SMOOTHED) if smoothing else tolerance)


def test_classification_loss_with_the_very_same_labels(expected):
    """The rounded labels are all that differs."""
    mixture = import_ibinn(CHECKPOINT, dtype=torch.float64).mixture
    log_w = mixture.log_weights
    log_ratio = (expected["logits"] + log_w).log_softmax(1) - log_w
    agree((expected["y"].double() * log_ratio).sum(1), expected["L_y"], 1e-12)


def test_inverse(case, expected):
    """Ours is exact; theirs is limited by inverses that are stored in float32."""
    classifier, z, _, tolerance = case
    with torch.no_grad():
        v, _ = classifier.flow(z, rev=True)
    agree(v, expected["x"], tolerance)
    agree(v[:, 0], expected["recon"], max(tolerance, 1e-5))


def test_class_means(expected):
    classifier = import_ibinn(CHECKPOINT, dtype=torch.float64)
    with torch.no_grad():
        z, _ = classifier.flow(expected["train_x"].double())
    predicted = classifier.mixture.logits(z).argmax(1)
    assert torch.equal(predicted, expected["train_pred"])
    metric = ClassMeans(10, 784)
    metric.update(z, predicted)
    agree(metric.compute()[0], expected["means"], 1e-9)


def test_counterfactuals(case, expected):
    classifier, z, _, tolerance = case
    source = classifier.mixture.logits(z).argmax(1)
    assert torch.equal(source, expected["y_hat"])
    means, mu = expected["means"].to(z), classifier.mixture.component_means.detach()
    for target in range(10):
        other = source != target
        p = source[other]
        q = torch.full_like(p, target)
        direction = class_direction(means, p, q)
        alpha_0 = alpha_tipping(z[other], direction, mu[p], mu[q])
        steps = torch.stack((alpha_0, alpha_convincing(alpha_0)), 1)
        agree(alpha_0, expected["a0"][other, target], tolerance)
        agree(steps[:, 1], expected["a1"][other, target], tolerance)
        latents = z[other].unsqueeze(1) + steps.unsqueeze(2) * direction.unsqueeze(1)
        with torch.no_grad():
            v, _ = classifier.flow(latents.flatten(0, 1), rev=True)
        pictures = expected["cf_images"][other, target].flatten(0, 1)
        agree(v[:, 0], pictures, max(tolerance, 1e-5))


def test_explainer_takes_an_imported_classifier(expected):
    """From grey levels: (k + 1/2) / 256 instead of k / 255 moves a picture by half a level."""
    classifier = import_ibinn(CHECKPOINT, dtype=torch.float64)
    classifier.class_means.copy_(expected["means"])
    classifier.class_counts.fill_(60)
    images = (expected["x"] / 2 + 0.5).clamp(0, 1)
    cf = Explainer(classifier).explain(images, target=3)
    assert torch.equal(cf.source, expected["y_hat"])
    moved = cf.source != 3
    theirs = (expected["cf_images"][moved, 3, 1] / 2 + 0.5).clamp(0, 1)
    assert (cf.image[moved, 0] - theirs).abs().mean() < 0.01


def test_training_steps(steps):
    """Losses, gradients and updates of SGD with three parameter groups and clipping."""
    classifier = import_ibinn(CHECKPOINT, dtype=torch.float64, dropouts=[0, 0], fc_dropout=0)
    module = IBINN(
        (1, 28, 28),
        10,
        blocks=[3, 3],
        dropouts=[0.0, 0.0],
        fc_width=64,
        fc_dropout=0.0,
        lr=0.007,
        beta=BETA,
        channels_last=False,
    )
    module.classifier = classifier.train()
    optimizer = module.configure_optimizers()["optimizer"]
    excess = reference_excess(classifier)
    for k, (v, labels) in enumerate(zip(steps["x"], steps["label"], strict=True)):
        *_, loss = module._loss(v.double(), labels)
        optimizer.zero_grad()
        loss.total.mean().backward()
        assert loss.l_x.mean().item() - excess / 784 == pytest.approx(steps["L_x"][k], rel=SMOOTHED)
        assert -loss.l_y.mean().item() == pytest.approx(steps["L_y"][k], rel=SMOOTHED)
        if k == 0:
            compare(classifier, steps["grad_step0"], lambda p: p.grad)
            agree(classifier.mixture.component_means.grad, steps["grad_step0"]["mu"][0], 1e-7)
        norm = torch.nn.utils.clip_grad_norm_(classifier.parameters(), 8.0)
        assert norm.item() == pytest.approx(steps["grad_norm"][k], rel=SMOOTHED)
        optimizer.step()
    compare(classifier, steps["after"]["inn"], lambda p: p.data)
    agree(classifier.mixture.component_means, steps["after"]["mu"][0], 1e-9)
    agree(classifier.mixture.mixture_logits, steps["after"]["phi"], SMOOTHED)


def compare(classifier, theirs, value):
    """Every trained parameter of the flow against the published code's, under its name."""
    checkpoint = torch.load(CHECKPOINT, weights_only=True)
    origin = _translated(_nodes(checkpoint["inn"]), classifier.flow)
    for key, parameter in classifier.flow.named_parameters():
        if parameter.requires_grad:
            agree(value(parameter), theirs[origin[key][0].removeprefix("inn.")], SMOOTHED)
