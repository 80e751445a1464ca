"""The page that a run writes: of which images, where it goes, and what is refused."""

import json

import pytest
from bars import PlainBars, network, trainer
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from torch.utils.data import TensorDataset

from lightning_ecinn import CounterfactualPage
from lightning_ecinn.page import room


def data_of(path):
    """What a page has in it."""
    page = path.read_text()
    return json.loads(page.split('type="application/json">')[1].split("</script>")[0])


def written(folder):
    return sorted(path.name for path in (folder / "pictures").glob("*"))


def test_one_image_of_each_class_to_every_class(tmp_path, trained):
    for _ in range(2):
        there = trainer(tmp_path, CounterfactualPage())
        there.test(trained, datamodule=PlainBars(), verbose=False)
    assert written(tmp_path) == ["counterfactuals-2.html", "counterfactuals.html"]
    first, again = (data_of(tmp_path / "pictures" / name) for name in written(tmp_path))
    assert first == again
    assert first["classes"] == ["top", "middle", "below"]
    assert [image["label"] for image in first["images"]] == [0, 1, 2]
    assert [image["source"] for image in first["images"]] == [0, 1, 2]
    assert all(len(image["paths"]) == 3 for image in first["images"])
    assert all(int(image["name"].split()[-1]) % 3 == image["label"] for image in first["images"])


def test_more_images_are_a_second_one_of_each_class(tmp_path, trained):
    there = trainer(tmp_path, CounterfactualPage(count=5, split="val", seed=1, name="more"))
    there.test(trained, datamodule=PlainBars(), verbose=False)
    images = data_of(tmp_path / "pictures" / "more.html")["images"]
    assert [image["label"] for image in images] == [0, 1, 2, 0, 1]
    assert len({image["name"] for image in images}) == 5
    assert images[0]["name"].startswith("val image ")


def test_weights_and_biases_gets_it_and_others_do_not_fail(tmp_path, trained, monkeypatch):
    sent = []
    online = WandbLogger(save_dir=tmp_path, mode="disabled")
    monkeypatch.setattr(
        "lightning_ecinn.callbacks.weights_and_biases.send_pictures",
        lambda logger, pictures, step: sent.append(pictures),
    )
    there = trainer(tmp_path, CounterfactualPage(), logger=[online, CSVLogger(tmp_path)])
    there.test(trained, datamodule=PlainBars(), verbose=False)
    (html,) = (one["page/counterfactuals"] for one in sent if "page/counterfactuals" in one)
    assert type(html).__name__ == "Html"
    assert html.html == (tmp_path / "pictures" / "counterfactuals.html").read_text()


def test_what_can_not_be_written_is_refused_or_remarked_upon(tmp_path, trained):
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        CounterfactualPage(count=0)
    most = room(3)
    too_many = trainer(tmp_path, CounterfactualPage(count=most + 1))
    with pytest.raises(ValueError, match=f"count must be at most {most} for 3 classes.*{most + 1}"):
        too_many.fit(network(), datamodule=PlainBars())
    there = trainer(tmp_path, CounterfactualPage())
    with pytest.warns(UserWarning, match="counterfactuals is left out: No class means"):
        there.test(network(), datamodule=PlainBars(), verbose=False)
    data = PlainBars()
    images, labels = data.test.tensors
    data.test = TensorDataset(images, (labels + 1) % 3)
    with pytest.warns(UserWarning, match="none of 30 images is classified correctly"):
        there.test(trained, datamodule=data, verbose=False)
    assert not (tmp_path / "pictures").exists()
