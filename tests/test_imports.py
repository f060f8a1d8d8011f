"""Imports run downward only, and optional libraries stay optional."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unconfound

ROOT = Path(unconfound.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# What each room may import of ours beside itself. `data`, `options` and the files beside them serve all.
GROUND = {
    "data",
    "options",
    "devices",
    "progress",
    "documents",
    "records",
    "files",
    "lock",
    "outputs",
    "extras",
    "suggestions",
    "spans",
    "visible",
}
ROOMS = {
    "functional": set(),
    "data": GROUND | {"functional"},
    "options": {"suggestions", "spans"},
    "devices": GROUND,
    "progress": GROUND,
    "documents": GROUND,
    "records": GROUND,
    "files": GROUND,
    "lock": GROUND,
    "outputs": GROUND,
    "extras": GROUND,
    "suggestions": GROUND,
    "spans": GROUND,
    "visible": GROUND,
    "views": GROUND | {"functional"},
    "encoders": GROUND | {"functional"},
    "methods": GROUND | {"functional", "views", "encoders"},
    "training": GROUND | {"functional", "views", "encoders", "methods"},
    "evaluation": GROUND | {"functional", "views", "encoders"},
    "retrieval": GROUND | {"functional", "encoders", "evaluation"},
    "mending": GROUND | {"functional", "views", "encoders", "methods", "training", "evaluation"},
    "recipes": GROUND,
    "comparison": GROUND
    | {"functional", "encoders", "methods", "training", "evaluation", "recipes"}
    | {"fit_parsing", "loading", "parsing", "runs"},
    "report": GROUND | {"functional", "encoders", "evaluation", "retrieval", "training", "comparison", "recipes"},
}
OPTIONAL = (
    "torchvision",
    "timm",
    "transformers",
    "torch_geometric",
    "soundfile",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "lightly",
    "pytorch_metric_learning",
    "faiss",
    "beartype",
    "hypothesis",
    "pytest",
)


def _room(file):
    """The folder below `unconfound`, or the file itself; the command line and its parts are all "top"."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] in ROOMS else "top"


def _imported(file):
    """(line, module) of every import, also those inside functions and under TYPE_CHECKING."""
    package = ["unconfound", *file.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            # `from unconfound import data` names a room, too.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "__import__", "require"):
            yield from ((node.lineno, name.value) for name in node.args[:1] if isinstance(name, ast.Constant))


def test_there_are_files_to_look_at():
    assert len(FILES) > 50
    assert {_room(file) for file in FILES} == {*ROOMS, "top"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_imports_run_downward(file):
    room = _room(file)
    allowed = ROOMS.get(room)
    for line, module in _imported(file):
        parts = module.split(".")
        # From the package itself anybody may take the version.
        if parts[0] != "unconfound" or allowed is None or parts[1:] in ([], ["__version__"]):
            continue
        assert parts[1] in allowed | {room}, (
            f"{file.relative_to(ROOT)}:{line} imports {module}: {room} may import {sorted(allowed)}"
        )


@pytest.mark.parametrize("file", sorted((ROOT / "functional").rglob("*.py")), ids=lambda file: file.name)
def test_the_equations_import_torch_and_nothing_of_ours(file):
    known = {"torch", "numpy", "jaxtyping", *sys.stdlib_module_names}
    for line, module in _imported(file):
        own = module.startswith("unconfound.functional.")
        assert own or module.split(".")[0] in known, f"{file.name}:{line} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_file_imports_an_optional_library_at_its_top(file):
    tree = ast.parse(file.read_text())
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & set(OPTIONAL)


def _python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_all_of_the_package_imports_without_optional_libraries():
    modules = [".".join(["unconfound", *file.relative_to(ROOT).with_suffix("").parts]) for file in FILES]
    modules = [module.removesuffix(".__init__") for module in modules if not module.endswith("__main__")]
    _python(
        f"""
import sys
from importlib import import_module

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in {OPTIONAL!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
for module in {modules!r}:
    import_module(module)
import torch
from unconfound.data import Schema
from unconfound.encoders import build_encoder
schema = Schema("images", (3, 8, 8))
assert build_encoder("convnet", schema)(torch.rand(2, 3, 8, 8)).shape == (2, 256)
for name in ("resnet18", "resnet10t"):
    try:
        build_encoder(name, schema)
    except ImportError as error:
        assert "pip install 'unconfound[images]'" in str(error), error
    else:
        raise AssertionError(name)
"""
    )


def test_the_package_and_the_usage_text_do_not_wait_for_torch():
    output = _python(
        """
import sys
import unconfound
from unconfound.cli import main
assert main(["--help"]) == 0
assert main(["--version"]) == 0
heavy = {"torch", "numpy", "pandas", "sklearn", "matplotlib", "lightning_fabric"} & set(sys.modules)
assert not heavy, heavy
"""
    )
    assert "unconfound fit" in output


def test_only_training_waits_for_fabric_and_only_contexts_for_scikit_learn():
    _python(
        """
import sys
import unconfound.runs
import unconfound.retrieval
heavy = {"lightning_fabric", "torch._dynamo", "sklearn", "scipy.stats", "matplotlib", "torchvision"} & set(sys.modules)
assert not heavy, heavy
"""
    )


def test_no_usage_text_and_no_list_waits_for_torch():
    output = _python(
        """
import sys
from unconfound.cli import ABOUT, main
from unconfound.options.methods import OPTIONS  # those of all methods
for words in [["list"], ["fit", "dacl+", "--help"], *([command, "--help"] for command in ABOUT)]:
    try:
        assert main(words) == 0
    except SystemExit as leaving:
        assert leaving.code == 0
    heavy = {"torch", "numpy", "pandas", "sklearn", "matplotlib", "lightning_fabric"} & set(sys.modules)
    assert not heavy, (words, heavy)
"""
    )
    for command in (
        "fit METHOD",
        "fit dacl",
        "embed",
        "evaluate",
        "mend",
        "index",
        "search",
        "compare",
        "export",
        "demo",
    ):
        assert f"usage: unconfound {command}" in output
