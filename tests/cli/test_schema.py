"""The JSON schema of configurations, judged by another reader of schemas."""

import copy
import json

import jsonschema
import pytest
import yaml

from lightning_ecinn import shipped
from lightning_ecinn.cli.known import known
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.schema import make_schema


@pytest.fixture(scope="module")
def schema():
    whole = known() or make_schema()
    return {key: value for key, value in whole.items() if not key.startswith("x-")}


def test_the_command_prints_it(capsys, schema):
    assert main(["schema"]) is None
    assert json.loads(capsys.readouterr().out) == schema
    jsonschema.Draft7Validator.check_schema(schema)


def test_a_mistake_of_the_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["schema", "x"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: x\n"


@pytest.mark.parametrize("path", sorted(shipped.FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_configuration_fits(path, schema):
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), {"trainr": {}}),
        (("trainer",), {"max_epoch": 1}),
        (("trainer",), {"max_epochs": "many"}),
        (("model",), {"class_path": "Ibinn"}),
        (("model", "init_args"), {"betta": 1}),
        (("model", "init_args"), {"optimizer": "adm"}),
        (("data", "init_args"), {"batch_size": 1.5}),
        (("trainer", "callbacks", 0), {"class_path": "ClassSample"}),
        (("trainer", "callbacks", 0, "init_args"), {"every_n_epoch": 1}),
    ],
)
def test_what_is_wrong_does_not_fit(place, value, schema):
    content = yaml.safe_load((shipped.FOLDER / "mnist.yaml").read_text())
    wrong = copy.deepcopy(content)
    part = wrong
    for key in place:
        part = part[key]
    part.update(value)
    validator = jsonschema.Draft7Validator(schema)
    assert validator.is_valid(content)
    assert not validator.is_valid(wrong)


def test_classes_and_settings_of_ones_own_fit(schema):
    own = {"class_path": "mine.Data", "init_args": {"anything": 1}}
    jsonschema.Draft7Validator(schema).validate({"data": own, "model": {"init_args": {"x": 1}}})
