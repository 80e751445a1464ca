"""The benchmark of any classifier's counterfactuals beside search methods, on tiny ones."""

import json

import pytest
import torch

from benchmarks import classifiers, classifiers_networks as networks, classifiers_rows as rows
from benchmarks.classifiers_settings import best
from benchmarks.explaining import usable_network
from benchmarks.searches import LatentSearch, Searched, Wachter
from lightning_ecinn.datamodules import MNIST
from lightning_ecinn.models.networks import Network
from lightning_ecinn.models.preprocessing import round_to_8_bits

TINY = {"blocks": (1, 1), "widths": (4, 4), "fc_width": 8}


class Linear(Network):
    """Logits that are linear in the pixels, which makes every search a convex one."""

    kind = "linear"

    def __init__(self):
        super().__init__((1, 8, 8), 3, None)
        self.seen = 0
        self.layer = torch.nn.Linear(64, 3, bias=False)
        weights = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
        self.layer.weight = torch.nn.Parameter(weights, requires_grad=False)

    def forward(self, images):
        self.seen += len(images)
        return self.layer(images.flatten(1) - 0.5)


@pytest.fixture
def question():
    generator = torch.Generator().manual_seed(1)
    images = round_to_8_bits(torch.rand(4, 1, 8, 8, generator=generator))
    source = Linear()(images).argmax(1)
    return rows.Question(images, source, (source + 1) % 3, torch.arange(4), "a test")


def wachter(**settings):
    return Wachter(**{"lr": 0.03, "weight": 1.0, "iterations": 50} | settings)


def latent(network, images, target, confidence):
    torch.manual_seed(0)
    flow = usable_network((1, 8, 8), **TINY).eval().requires_grad_(False)
    return LatentSearch(lr=0.1)(flow, network, images, target, confidence)


@pytest.mark.parametrize(
    "search", [wachter(), wachter(first=False), wachter(term="cross_entropy"), latent]
)
def test_a_search_finds_pictures_in_8_bits_with_the_confidence(search, question):
    found = search(Linear(), question.images, question.target, 0.9)
    posterior = Linear()(found.pictures).softmax(1)
    assert found.found.all()
    assert (posterior.gather(1, question.target[:, None]) >= 0.9).all()
    assert torch.equal(round_to_8_bits(found.pictures), found.pictures)


@pytest.mark.parametrize("search", [wachter(), latent])
def test_images_of_a_search_do_not_influence_each_other(search, question):
    together = search(Linear(), question.images, question.target, 0.9)
    for k in range(4):
        alone = search(Linear(), question.images[k : k + 1], question.target[k : k + 1], 0.9)
        assert alone.asked == together.asked[k]
        torch.testing.assert_close(alone.pictures[0], together.pictures[k], atol=0.005, rtol=0)


def test_a_gradient_counts_as_two_and_the_last_picture_as_one(question):
    network = Linear()
    found = wachter()(network, question.images[:1], question.target[:1], 0.9)
    assert network.seen > 1
    assert found.asked.item() == 2 * network.seen - 1


def test_an_image_that_is_the_target_is_asked_about_once(question):
    found = wachter()(Linear(), question.images, question.source, 0.0)
    assert found.asked.tolist() == [1, 1, 1, 1]
    assert torch.equal(found.pictures, question.images)


def test_the_closest_picture_is_no_farther_than_the_first(question):
    distances = []
    for first in (True, False):
        found = wachter(first=first)(Linear(), question.images, question.target, 0.9)
        distances.append((found.pictures - question.images).abs().flatten(1).sum(1))
    assert (distances[1] <= distances[0]).all()
    assert (distances[1] < distances[0]).any()


def test_what_is_not_found_keeps_its_image_and_costs_every_round(question):
    search = wachter(iterations=2, rounds=3, lr=1e-6)
    found = search(Linear(), question.images, question.target, 0.999)
    assert not found.found.any()
    assert torch.equal(found.pictures, question.images)
    assert found.asked.tolist() == [12] * 4  # 3 rounds of 2 gradients


def counting(asked):
    def method(images, target):
        asked.append(len(images))
        return Searched(images, target >= 0, target)

    return method


def test_answers_are_kept_and_only_what_is_missing_is_asked(question, tmp_path):
    path, asked = tmp_path / "a.npz", []
    method = counting(asked)
    rows.answered(path, question.first(2), method, "x", chunk=1)
    every = rows.answered(path, question, method, "x")
    again = rows.answered(path, question.first(3), method, "x")
    assert asked == [1, 1, 2]
    assert torch.equal(every.pictures, question.images)
    assert torch.equal(again.asked, question.target[:3])


def test_answers_to_another_question_are_refused(question, tmp_path):
    path, method = tmp_path / "a.npz", counting([])
    rows.answered(path, question, method, "lr 1")
    with pytest.raises(ValueError, match=r"a.npz holds answers to another question \(lr 1; a test"):
        rows.answered(path, question, method, "lr 2")
    other = rows.Question(
        question.images, question.source, question.source, question.index, question.of
    )
    with pytest.raises(ValueError, match="another question"):
        rows.answered(path, other, method, "lr 1")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"a.npz holds no answers of this benchmark"):
        rows.answered(path, question, method, "lr 1")


def test_cells_of_a_hand_worked_case(question):
    """Two pictures are q beyond doubt, one is the image still, one was not found."""
    network = Linear()
    directions = network.layer.weight[question.target].sign().view(4, 1, 8, 8)
    pictures = (0.5 + directions / 2).clamp(0, 1)
    pictures[2] = question.images[2]
    found = torch.tensor([True, True, True, False])
    answers = Searched(pictures, found, torch.tensor([1, 2, 3, 6]))
    cells = rows.cells(question, answers, rows.Judges(network, network, None), 0.9)
    assert cells[0] == "50.00"
    assert cells[1].startswith("50.0 (")
    assert cells[2:4] == ["-", "-"]
    assert cells[5] == "3.0 (6)"
    change = (pictures - question.images).flatten(1)[:3]
    en = (change.abs().sum(1) + change.norm(dim=1)).mean()
    assert float(cells[4].split(" (")[0]) == pytest.approx(en.item(), abs=0.05)


def test_only_all_of_them_are_100_percent():
    assert rows._percent(torch.ones(20_000).bool()) == "100"
    assert rows._percent(torch.arange(20_000) > 0) == "99.99"


def test_the_settings_that_the_other_network_believes_are_kept(question, tmp_path):
    network = Linear()
    judges = rows.Judges(network, network, None)

    def method_of(settings):
        confidence = settings["confidence"]
        return lambda images, target: wachter()(network, images, target, confidence)

    choices = [{"confidence": 1.0}, {"confidence": 0.6}, {"confidence": 0.9}]
    chosen, table = best("x", choices, method_of, question, judges, 0.5, tmp_path)
    assert chosen == {"confidence": 0.6}  # both find all: the smaller change
    assert len(table.rows) == 3
    assert "Kept: confidence 0.6" in table.notes[0]


def test_a_network_is_trained_once_and_read_then(tmp_path):
    images, labels = MNIST(source="sample").load(train=True)
    settings = {"widths": (4, 8), "seed": 3, "epochs": 1}
    path = tmp_path / "a.ckpt"
    first = networks.kept_network(path, images[:256], labels[:256], **settings)
    written = path.stat().st_mtime_ns
    again = networks.kept_network(path, images[:0], labels[:0], **settings)
    assert path.stat().st_mtime_ns == written
    trained = networks.train_network(images[:256], labels[:256], **settings)
    for a, b, c in zip(*(n.parameters() for n in (first, again, trained)), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def save(network, path):
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"network": network.config, "state_dict": state}, path)


def test_the_command_leaves_tables_and_a_picture_and_goes_on_only_as_before(tmp_path):
    images, labels = MNIST(source="sample").load(train=True)
    settings = {"widths": (4, 8), "epochs": 2}
    for seed, name in enumerate(("explained", "other")):
        network = networks.train_network(images[:1000], labels[:1000], seed=seed, **settings)
        save(network, tmp_path / f"{name}.ckpt")
    given = [f"--{name}={tmp_path / name}.ckpt" for name in ("explained", "other")]
    command = ["--quick", "--no-prototypes", f"--out={tmp_path / 'out'}", *given]
    classifiers.main(command)
    left = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    kinds = ("ours", "wachter", "latent_search")
    names = [f"{kind}_{confidence}.npz" for kind in kinds for confidence in (0.9, 0.99)]
    assert left == {*names, "classifiers.md", "classifiers.json", "classifiers.png"}
    tables = json.loads((tmp_path / "out" / "classifiers.json").read_text())["tables"]
    titles = [table["title"] for table in tables]
    assert titles[:4] == ["On 4 images", "On 2 images", "What ours missed", "One picture at a time"]
    assert all(len(row) == len(table["columns"]) for table in tables for row in table["rows"])
    assert [row[0] for row in tables[1]["rows"]][::2] == ["ours", "Wachter", "latent search"]
    with pytest.raises(SystemExit, match=r"ours_0.9.npz holds answers to another question"):
        classifiers.main([*command, "--truncation=0.5"])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--targets=nowhere.npz", "nowhere.npz"),
        ("--autoencoders=nowhere.npz:mnist", "nowhere.npz"),
        ("--explained=nowhere.ckpt", "nowhere.ckpt"),
    ],
)
def test_a_wrong_path_is_one_sentence(option, said, tmp_path):
    with pytest.raises(SystemExit, match=said):
        classifiers.main(["--quick", f"--out={tmp_path}", option])
    assert not list(tmp_path.iterdir())
