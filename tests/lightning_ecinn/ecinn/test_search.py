"""The search for a step, and the certified step of a classifier, without an explainer."""

import pytest
import torch
from test_explainer import LABELS, K, anchors, classifier

from lightning_ecinn.ecinn.inference import Inference
from lightning_ecinn.ecinn.paths import Paths
from lightning_ecinn.ecinn.search import certified_step, smallest_passing_step


def test_smallest_passing_step():
    """Thresholds at once: passed at the start, at each doubling, and never."""
    start = torch.tensor([0.3, 0.3, 0.3, 0.3, 0.5, 0.5], dtype=torch.float64)
    threshold = torch.tensor([0.1, 0.31, 0.42, 1.7, 3.69, 3.71], dtype=torch.float64)
    tried = [[] for _ in start]

    def attempt(alpha, index):
        for k, step in zip(index.tolist(), alpha.tolist(), strict=True):
            tried[k].append(step)
        return torch.stack((alpha, index.double()), 1), alpha >= threshold[index]

    alpha, pictures, attempts = smallest_passing_step(attempt, start)
    assert attempts.tolist() == [len(steps) for steps in tried]
    assert attempts.tolist() == [1, 2 + 8, 4 + 8, 7 + 8, 8 + 8, 8]
    assert alpha[0] == 0.3
    assert tried[5] == pytest.approx([0.5 + k for k in (0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)])
    assert alpha[5] == tried[5][-1]
    width = torch.tensor([0, 0.05, 0.1, 0.8, 1.6], dtype=torch.float64)
    assert (alpha[:5] >= threshold[:5]).all()
    assert (alpha[1:5] - threshold[1:5] <= width[1:] / 256 + 1e-12).all()
    # The pictures are those of the answers, not of a later or another attempt.
    assert torch.equal(pictures, torch.stack((alpha, torch.arange(6).double()), 1))


def test_a_step_that_passes_at_once_is_tried_once():
    calls = []

    def attempt(alpha, index):
        calls.append(index.tolist())
        return alpha, torch.ones_like(index, dtype=torch.bool)

    start = torch.tensor([0.2, 0.7])
    alpha, pictures, attempts = smallest_passing_step(attempt, start)
    assert torch.equal(alpha, start)
    assert torch.equal(pictures, start)
    assert attempts.tolist() == [1, 1]
    assert calls == [[0, 1]]


@torch.no_grad()
def test_certified_step_of_a_classifier():
    """The picture in 8 bits has the posterior that was asked for; a little less far it has not."""
    model = classifier().double()
    session = Inference(model, chunk_size=2).session()
    target = (LABELS + 1) % K
    paths = Paths.towards(model, session.latents(anchors()[LABELS]), target.unsqueeze(1), 1.0)
    star, exists = paths.lengths(["star"], (0.8, 0.5))
    assert exists.all()
    z, direction, q = paths.only(exists[0])
    assert torch.equal(q, target)
    alpha, pictures, attempts = certified_step(session, z, direction, q, star[0, :, 0], 0.6)
    torch.testing.assert_close(pictures, model.decode(z + alpha.unsqueeze(1) * direction))

    def reached(alpha):
        seen = (255 * model.decode(z + alpha.unsqueeze(1) * direction)).round().byte()
        return model.posterior(seen).gather(1, q.unsqueeze(1)).squeeze(1)

    assert (reached(alpha) >= 0.6).all()
    searched = attempts > 1
    assert searched.any()
    assert (attempts <= 16).all()
    assert (reached(alpha - 0.1)[searched] < 0.6).all()
