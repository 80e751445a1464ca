"""Published checkpoints, shaped like those of the published code but made here."""

import pytest
import torch
from published import published

from lightning_ecinn import GenerativeClassifier, import_ibinn

GREY = {"image_shape": (1, 8, 8), "num_classes": 4}
GREY_NET = {"blocks": [2, 1], "widths": [5, 6], "dropouts": [0, 0.25], "fc_width": 7}
COLOUR = {"image_shape": (3, 16, 16), "num_classes": 2}
COLOUR_NET = {"blocks": [1, 2, 1], "widths": [4, 5, 6], "dropouts": [0, 0, 0.25], "fc_width": 7}


def trained(shape, network):
    """A classifier with no weight at its initial value."""
    torch.manual_seed(0)
    classifier = GenerativeClassifier(**shape, **network).eval()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in classifier.named_buffers():
            if "running" in name:
                buffer.add_(0.2 * torch.rand_like(buffer))
    return classifier


@pytest.fixture
def saved(tmp_path):
    def save(checkpoint):
        torch.save(checkpoint, tmp_path / "model.pt")
        return tmp_path / "model.pt"

    return save


@pytest.mark.parametrize(("shape", "network"), [(GREY, GREY_NET), (COLOUR, COLOUR_NET)])
def test_everything_is_read_off_the_weights(shape, network, saved):
    ours = trained(shape, network)
    imported = import_ibinn(saved(published(ours)))
    for key, value in {**shape, **network}.items():
        assert imported.config[key] == (list(value) if isinstance(value, tuple) else value)
    assert not imported.training
    assert imported.class_counts.sum() == 0
    v = torch.randn(3, *shape["image_shape"])
    with torch.no_grad():
        z, log_det = imported.flow(v)
        assert torch.equal(z, ours.flow(v)[0])
        # A loaded DCT is the file's, rounded; the one it came from has an exact determinant.
        torch.testing.assert_close(log_det, ours.flow(v)[1], rtol=1e-6, atol=0)
    for name in ("component_means", "mixture_logits"):
        assert torch.equal(getattr(imported.mixture, name), getattr(ours.mixture, name))


def test_double_precision_inverts(saved):
    classifier = import_ibinn(saved(published(trained(GREY, GREY_NET))), dtype=torch.float64)
    v = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        z, log_det = classifier.flow(v)
        back, log_det_back = classifier.flow(z, rev=True)
    assert (back - v).abs().max() < 1e-9
    assert (log_det + log_det_back).abs().max() < 1e-9


def test_a_network_of_the_papers_size_is_recognised(saved):
    """Only shapes: 24 + 24 blocks for 28x28."""
    ours = GenerativeClassifier((1, 28, 28), 10)
    config = import_ibinn(saved(published(ours))).config
    assert config == {**ours.config, "haar": True}


def change(key, value):
    def changed(checkpoint):
        checkpoint["inn"][key] = value

    return changed


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            change("module_list.3.s.4.weight", torch.zeros(9, 5, 3, 3)),
            r"'inn\.module_list\.3\.s\.4\.weight' does not fit: it has shape \(9, 5, 3, 3\), "
            r"expected shape \(5, 5, 3, 3\)",
        ),
        (change("module_list.3.extra", torch.zeros(2)), r"3\.extra' does not fit.*no such entry"),
        (change("something", torch.zeros(2)), r"'inn\.something' does not fit"),
        (change("module_list.99.foo", torch.zeros(2)), r"99\.foo' does not fit: expected a block"),
        (lambda c: c["inn"].pop("module_list.3.act_offset"), r"missing.*offset"),
        (lambda c: c["inn"].pop("module_list.7.inv_weight"), r"module_list\.7\.weight' does not"),
        (lambda c: c.pop("phi"), r"no entry 'phi'"),
        (lambda c: c.update(mu=torch.zeros(1, 4, 63)), r"'mu' does not fit: it has 63 dimensions"),
        (lambda c: c.update(phi=torch.zeros(5)), r"'phi' does not fit: it has shape \(5,\)"),
    ],
)
def test_the_first_entry_that_does_not_fit_is_named(spoil, message, saved):
    checkpoint = published(trained(GREY, GREY_NET))
    spoil(checkpoint)
    with pytest.raises(ValueError, match=message):
        import_ibinn(saved(checkpoint))


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(FileNotFoundError, match="No checkpoint at"):
        import_ibinn(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match="not a checkpoint of the published IB-INN code"):
        import_ibinn(tmp_path / "text.pt")
