"""The README and the pages of the site: links lead somewhere, commands and code are true."""

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

import lightning_ecinn
from lightning_ecinn import MNIST, figures, metrics
from lightning_ecinn.cli.mistakes import refuse_mistakes
from lightning_ecinn.cli.sweep_words import read_grid
from lightning_ecinn.cli.words import normalise
from lightning_ecinn.usage import COMMANDS

ROOT = Path(__file__).parents[1]
TRAINER = pl.Trainer
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/**/*.md", "experiments/**/*.md", "benchmarks/README.md")
    for path in sorted(ROOT.glob(pattern))
}
TOUR = "experiments/tour.ipynb"
PAGES[TOUR] = "\n".join(
    "".join(cell["source"])
    for cell in json.loads((ROOT / TOUR).read_text(encoding="utf-8"))["cells"]
    if cell["cell_type"] == "markdown"
)
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|#)([^)\s#]+)")
PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?:)([^)\s]+)")
NEEDS_THEIRS = "<!-- needs files of yours -->"


def blocks(name, *languages):
    """The code of a page in these languages, and whether it needs files that a reader has."""
    text = PAGES[name]
    for found in FENCE.finditer(text):
        if found[2] in languages:
            needs = text[: found.start()].rstrip().endswith(NEEDS_THEIRS)
            yield re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE), needs


def shell_lines(name):
    """Lines of a shell, continued ones as one, variables of the block in their places."""
    for block, _ in blocks(name, "", "bash"):
        variables = {}
        for line in block.replace("\\\n", " ").splitlines():
            if is_assignment := re.fullmatch(r'(\w+)="(.*)"', line):
                variables[is_assignment[1]] = is_assignment[2]
                continue
            yield re.sub(r"\$(\w+)", lambda name: variables.get(name[1], name[0]), line)  # noqa: B023


COMMAND = re.compile(
    r"(?:^|srun )(?:\.venv/bin/)?(?:python -m lightning_ecinn|lightning-ecinn) (.*)"
)
TYPED = sorted(
    {
        (name, found[1])
        for name in PAGES
        for line in shell_lines(name)
        if (found := COMMAND.search(line))
    }
)
QUOTED = sorted(
    {
        (name, quoted)
        for name in PAGES
        for quoted in re.findall(r"`python -m lightning_ecinn ([^`]+)`", PAGES[name])
    }
)


@pytest.mark.parametrize("name", PAGES)
def test_links_and_pictures_are_there(name):
    for link in LINK.findall(PAGES[name]) + PICTURE.findall(PAGES[name]):
        assert (ROOT / name).parent.joinpath(link).exists(), link


def test_every_page_is_in_the_sites_table_of_contents():
    index = PAGES["docs/index.md"]
    for name in PAGES:
        if name.startswith("docs/") and name != "docs/index.md":
            page = name.removeprefix("docs/").removesuffix(".md")
            assert re.search(rf"^(.*<)?{page}>?$", index, re.MULTILINE)


def test_the_reference_has_every_public_name():
    reference = "".join(PAGES[name] for name in PAGES if name.startswith("docs/reference/"))
    listed = set(re.findall(r"auto(?:class|function):: ([\w.]+)", reference))
    assert listed == {
        f"{module.__name__}.{name}"
        for module in (lightning_ecinn, metrics, figures)
        for name in module.__all__
    }


@pytest.mark.parametrize(("page", "words"), TYPED + QUOTED)
def test_what_a_page_types_is_understood(page, words, tmp_path, monkeypatch):
    """Command, options, settings and shipped files, beside the reader's own files."""
    monkeypatch.chdir(tmp_path)
    command, *given = shlex.split(re.sub(r"\.{3}|…", "theirs", words), comments=True)
    given = given[: given.index(">")] if ">" in given else given
    for word in given:
        if word == "theirs" or word.endswith((".ckpt", ".pt")):
            tmp_path.joinpath(word).parent.mkdir(parents=True, exist_ok=True)
            tmp_path.joinpath(word).touch()
    if command.startswith("-") or command == "COMMAND" or given == ["theirs"]:
        return
    assert command in COMMANDS
    if command in ("explain", "export", "workspace"):
        import_module(f"lightning_ecinn.cli.{command}")._parser().parse_args(given)
    elif command == "sweep":
        fit, grid, _ = read_grid(given)
        first = [f"--{name}={values[0]}" for name, values in grid.items()]
        refuse_mistakes(normalise(["fit", *fit, *first]))
    elif given:
        refuse_mistakes(normalise([command, *given]))


@pytest.mark.parametrize("name", [name for name in PAGES if [*blocks(name, "", "bash")]])
def test_make_targets_are_there(name):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in shell_lines(name):
        if found := re.match(r"make ([a-z-]+)", line):
            assert found[1] in targets


class FewDigits(MNIST):
    """So many of the sample's that a page's code takes a moment."""

    def __init__(self, **given):
        super().__init__(**{**given, "val_size": 50})

    def load(self, train):
        images, labels = super().load(train)
        count = 300 if train else 500
        return images[:count], labels[:count]


@pytest.mark.parametrize("name", [name for name in PAGES if [*blocks(name, "python")]])
def test_the_code_of_a_page_runs(name, tmp_path, monkeypatch):
    """Block after block, beside the files that it speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lightning_ecinn, "MNIST", FewDigits)
    monkeypatch.setattr(pl, "Trainer", a_short_trainer)
    torch.manual_seed(0)
    digits = MNIST(source="sample").dataset("test").images
    (tmp_path / "photos").mkdir()
    for n, path in enumerate(("digit.png", "photos/a.png", "photos/b.png")):
        Image.fromarray(digits[n, 0].numpy()).save(path)
    names = {"__name__": "__main__"}
    for code, needs_theirs in blocks(name, "python"):
        compiled = compile(code, name, "exec")
        if not needs_theirs:
            exec(compiled, names)


def a_short_trainer(**given):
    quick = {"limit_train_batches": 2, "limit_val_batches": 1, "max_epochs": 1, "logger": False}
    return TRAINER(**{**given, **quick, "enable_progress_bar": False, "accelerator": "cpu"})


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
    """As `make docs` does: what leads nowhere, and what is no reStructuredText, is an error."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", "."]
    done = subprocess.run([*command, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert "Explainer" in (tmp_path / "docs/reference/explaining.html").read_text()
