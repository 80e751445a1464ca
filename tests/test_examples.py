"""The examples in docstrings run, each in an empty folder; every public name has one."""

import ast
import doctest
import importlib
import inspect

import pytest
import pytorch_lightning as pl
import torch
from answered_ahead import answered_ahead
from test_architecture import MODULES

import lightning_ecinn

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(node, name):
    """Name, line and text of every docstring in a file; found without importing it."""
    if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
        yield name, node.body[0].lineno - 1, text
    for child in ast.iter_child_nodes(node):
        inner = getattr(child, "name", None) if isinstance(child, DOCUMENTED) else None
        yield from docstrings(child, f"{name}.{inner}" if inner else name)


EXAMPLES = {
    name: (module, line, text)
    for module, path in MODULES.items()
    for name, line, text in docstrings(ast.parse(path.read_text()), module)
    if ">>>" in text
}


AHEAD = ("lightning_ecinn.cli.help.command_help", "lightning_ecinn.cli.mistakes.refuse_mistakes")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=answered_ahead) if name in AHEAD else name for name in EXAMPLES],
)
def test_the_example_runs(name, tmp_path, monkeypatch):
    """As if typed after `from lightning_ecinn import *`, torch and Lightning, in its own module."""
    module, line, text = EXAMPLES[name]
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    public = {name: getattr(lightning_ecinn, name) for name in lightning_ecinn.__all__}
    names = {"torch": torch, "pl": pl} | public | vars(importlib.import_module(module))
    test = doctest.DocTestParser().get_doctest(text, names, name, str(MODULES[module]), line)
    report = []
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not failed, "".join(report)


@pytest.mark.parametrize("name", sorted(lightning_ecinn.__all__))
def test_every_public_name_has_an_example(name):
    public = getattr(lightning_ecinn, name)
    assert inspect.isclass(public) or inspect.isfunction(public)
    assert ">>>" in public.__doc__, f"show in the docstring of {name} how it is used"
