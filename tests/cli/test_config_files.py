"""Configurations that are none, or that nobody should have to read: one sentence, at once."""

import time
from random import Random

import pytest

from lightning_ecinn import shipped
from lightning_ecinn.cli.config_files import LARGEST, find_config, read_config

SMOKE = (shipped.FOLDER / "smoke.yaml").read_text()
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
MISTAKES = {
    "": "is empty",
    "# only this": "is empty",
    "null": "is empty",
    "- a\n- b": "holds a list, not settings",
    "hello": "holds the value 'hello'",
    "3: 4": "the key 3 is not the name",
    "trainer: 3": "trainer is 3; give its settings",
    "checkpoint: [1]": "checkpoint is [1]; give its settings",
    "model:\n\tclass_path: IBINN": ", line 2, column 1: YAML is indented by spaces",
    "model: [": ", line 2, column 1: did not find expected node",
    f"<<<<<<< HEAD\n{SMOKE}": "mark <<<<<<< of a merge conflict in line 1",
    f"{SMOKE}=======\n": "mark ======= of a merge conflict",
    f"{SMOKE}model: IBINN\n": "model is given a second time",
    SMOKE.replace("fc_width: 32", "fc_width: 32\n    fc_width: 64"): "fc_width is given a second",
    f"{SMOKE}---\n{SMOKE}": "another document",
    BOMB: "more than 20,000 entries",
    "a: &a [*a]": "*a is not defined before",
    "a: " + "[" * 200 + "]" * 200: "more than 50 within each other",
    "[" * 100_000: "line 1",
    "a: !!python/object/apply:os.system ['touch hacked']": "there is no tag 'tag:yaml.org",
    "beta: !mine 3": "there is no tag '!mine'",
    "? [a, b]\n: 3": "unhashable key",
    "when: 2024-13-45": "month must be in 1..12",
    "x: " + "y" * LARGEST: "more than 1,048,576 bytes",
    "a: \0": "control characters are not allowed",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "mine.yaml").write_bytes


@pytest.mark.parametrize("text", MISTAKES, ids=list(MISTAKES.values()))
def test_what_is_no_configuration_is_one_sentence(write, tmp_path, text):
    write(text.encode())
    start = time.process_time()
    with pytest.raises(ValueError, match=r"^--config mine\.yaml") as caught:
        find_config("mine.yaml")
    assert MISTAKES[text] in str(caught.value)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (Random(0).randbytes(500) + b"\xff", ""),
        (SMOKE.encode("utf-16"), "1"),
        (b"a: 1\nb: \xf6", "2"),
    ],
    ids=["binary", "UTF-16", "Latin-1"],
)
def test_what_is_not_utf8_is_one_sentence(write, content, line):
    write(content)
    with pytest.raises(ValueError, match=rf"mine.yaml is not text in UTF-8, from line {line}"):
        find_config("mine.yaml")


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + SMOKE.encode(), SMOKE.replace("\n", "\r\n").encode(), SMOKE.encode()],
    ids=["mark at the beginning", "Windows", "plain"],
)
def test_what_editors_do_to_a_file_is_read(write, content):
    write(content)
    assert find_config("mine.yaml").content["experiment"] == "smoke"


def test_aliases_and_merged_keys_are_read(write):
    write(b"base: &base {lr: 1, beta: 2}\nmodel:\n  <<: *base\n  lr: 3\n")
    assert find_config("mine.yaml").content["model"] == {"lr": 3, "beta": 2}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "that is a folder or a device"),
        ("/dev/zero", "that is a folder or a device"),
        ("a" * 300, "File name too long"),
        ("~nobody-here/x.yaml", "there is no such file"),
        ("a\0b", "there is no such file"),
        ("", "that is a folder or a device"),
        ("smoke", r"\(did you mean smoke.yaml\?\); there are"),
        ("smoek.yaml", r"\(did you mean smoke.yaml\?\)"),
        ("mnist.yml", r"\(did you mean mnist.yaml\?\)"),
    ],
)
def test_what_is_no_file_is_one_sentence(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=message):
        find_config(name)


def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "mine.yaml").mkdir()  # fails as one without permission does, for root too
    with pytest.raises(ValueError, match=r"^The file can't be read: Is a directory\.$"):
        read_config(tmp_path / "mine.yaml", "The file")


def test_yaml_itself_has_several_lines():
    assert find_config("a: 1\nb: 2").content == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match=r"^--config, line 2"):
        find_config("a: 1\na: 2")
