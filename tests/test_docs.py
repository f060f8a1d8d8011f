"""Every snippet of the README and of the documentation runs, and what they name is there.

A comment before a code block, which no reader sees, tells the test what to do with it:

- `test: fit --epochs 1` adds flags to the block's `unconfound fit` commands, or keyword arguments to its calls of
  `unconfound.fit`, so that they take a second, not an hour.
- `test: parsed only` checks the flags of the block's `fit` and `demo` commands without running them.
- `test: needs data` runs the block only where UNCONFOUND_DATA names the real data sets (commands: always parsed).
- `test: file NAME` writes the block to a file that later blocks of the page use.

The code cells of the notebooks in `docs/notebooks/` run as they are.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import unconfound.commands.demo
import unconfound.commands.fit
import unconfound.runs
from unconfound.cli import ABOUT, main
from unconfound.commands.audit import AuditArguments
from unconfound.commands.demo import DemoArguments
from unconfound.commands.embed import EmbedArguments
from unconfound.commands.evaluate import EvaluateArguments
from unconfound.commands.export import ExportArguments
from unconfound.commands.index import IndexArguments
from unconfound.commands.mend import MendArguments
from unconfound.commands.search import SearchArguments
from unconfound.comparison.rows import list_comparisons
from unconfound.data.load import DataOptions
from unconfound.encoders import EncoderOptions
from unconfound.methods import METHODS
from unconfound.options.compare import CompareArguments
from unconfound.options.embedding import EmbeddingOptions, ReadingOptions
from unconfound.options.fit import FitArguments
from unconfound.recipes import list_recipes
from unconfound.training import Fitted, TrainingOptions

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
FENCE = re.compile(
    r"(?:^<!-- test: (?P<directive>[^\n]*?) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
DIRECTIVE = re.compile(r"(parsed only|needs data|file \S+|(fit|compare|evaluate|audit|embed|demo) --.+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its first line of code."""

    language: str
    text: str
    line: int
    directive: str

    def commands(self) -> list[list[str]]:
        """The words after `unconfound` of each command, and of each that torchrun starts."""
        lines = [line.partition(" #")[0] for line in self.text.replace("\\\n", " ").splitlines()]
        started = [re.sub(r"^torchrun .*?-m unconfound ", "unconfound ", line) for line in lines]
        return [shlex.split(line)[1:] for line in started if line.startswith("unconfound ")]


def blocks(page: Path) -> list[Block]:
    content = page.read_text(encoding="utf-8")
    return [
        Block(
            language=found["language"],
            text=found["text"],
            line=content.count("\n", 0, found.start("text")) + 1,
            directive=found["directive"] or "",
        )
        for found in FENCE.finditer(content)
    ]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take to be there: folders of images, masks and photographs, arrays, tables, two finished runs."""
    folder = tmp_path_factory.mktemp("documentation")
    rng = np.random.default_rng(0)
    down, right = np.abs(np.mgrid[:32, :32] - 15.5)
    shapes = {
        "circle": np.hypot(down, right) < 10,
        "cross": np.minimum(down, right) < 3,
        "diamond": down + right < 12,
        "square": np.maximum(down, right) < 8,
    }
    for name, shape in shapes.items():
        for number in range(10):
            image = rng.integers(0, 128, (32, 32, 3), dtype=np.uint8)
            image[shape] = rng.integers(128, 256, 3, dtype=np.uint8)
            save(folder / f"path/to/folder/{name}/{number}.png", image)
            save(folder / f"path/to/masks/{name}/{number}.png", shape.astype(np.uint8) * 255)
            if number < 4:
                save(folder / f"path/to/new/{name}{number}.png", image)
            if number < 6:
                for domain in ("cartoon", "photo", "sketch"):
                    save(folder / f"path/to/domains/{domain}/{name}/{number}.png", image)
    for number in range(10):
        save(folder / f"path/to/photographs/{number}.png", rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    rows = 120
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "work": rng.choice(["private", "public", "?"], rows),
            "sex": rng.choice(["female", "male"], rows),
        }
    )
    table["income"] = np.where(table["age"] + rng.normal(0, 10, rows) > 45, "high", "low")
    table.to_csv(folder / "table.csv", index=False)
    table.drop(columns="income").head(10).to_csv(folder / "new.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("UNCONFOUND_CACHE", str(folder / "cache"))
        small = ["--encoder", "convnet", "--width", "8", "--epochs", "2", "--out", "runs/a"]
        assert main(["fit", "simclr", "--data", "path/to/folder", "--masks", "path/to/masks", *small]) == 0
        table_run = ["--width", "8", "--epochs", "2", "--out", "runs/table"]
        assert main(["fit", "supervised", "--data", "table.csv", "--label", "income", *table_run]) == 0
    return folder


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_snippets(page: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    real = os.environ.get("UNCONFOUND_DATA")
    if real:
        Path("path/to/data").symlink_to(real)
    # What a page defines is found where a script's own definitions are.
    module = ModuleType("__main__")
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        assert DIRECTIVE.fullmatch(block.directive), f"{where}: unknown directive {block.directive!r}"
        if block.directive.startswith("file "):
            Path(block.directive.removeprefix("file ")).write_text(block.text)
        elif block.language == "python" and (real or block.directive != "needs data"):
            # Leading newlines give a traceback the line numbers of the page.
            execute("\n" * (block.line - 1) + block.text, str(page), module, block.directive)
        elif block.language == "bash":
            check_make_targets(block, where)
            for command in block.commands():
                assert run(command, block) == 0, f"{where}: unconfound {shlex.join(command)}"


def execute(code: str, file: str, module: ModuleType, directive: str = "") -> None:
    """Run code as a script does whose definitions are those of `module`, its calls of `fit` as the directive says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "__main__", module)
        name, _, flags = directive.partition(" ")
        if name == "fit":
            words, fit = shlex.split(flags), unconfound.commands.fit.fit
            given = {flag[2:].replace("-", "_"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
            patch.setattr(unconfound.commands.fit, "fit", lambda *args, **options: fit(*args, **options | given))
        exec(compile(code, file, "exec", dont_inherit=True), module.__dict__)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_notebooks(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    module = ModuleType("__main__")
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            execute("".join(cell["source"]), f"{notebook.name}, cell {number}", module)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_notebooks_are_saved_with_outputs_of_any_machine(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "run all cells, then save"
    for output in [output for cell in cells for output in cell["outputs"]]:
        shown = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr", "progress is no output to save"
        assert not re.search(r"(^|[\s'\"])/\w+/|[A-Z]:\\", shown), "a path of a machine"


def run(command: list[str], block: Block) -> int:
    """Run a command in this process as its block's directive says."""
    with pytest.MonkeyPatch.context() as patch:
        if block.directive in ("parsed only", "needs data"):
            assert command[0] in ("fit", "demo"), f"{command[0]} cannot be parsed only"
            patch.setattr(unconfound.commands.demo, "demo", lambda **_: [])
            patch.setattr(unconfound.runs, "fit_run", lambda method, given: Fitted(None, Path("runs/a")))
        name, _, flags = block.directive.partition(" ")
        return main([*command, *(shlex.split(flags) if name == command[0] else [])])


def check_make_targets(block: Block, where: str) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", block.text, re.MULTILINE))
    assert named <= targets, f"{where}: the Makefile has no target {named - targets}"


@pytest.mark.parametrize(
    "kind",
    [
        AuditArguments,
        CompareArguments,
        DataOptions,
        DemoArguments,
        EmbedArguments,
        EmbeddingOptions,
        EncoderOptions,
        EvaluateArguments,
        ExportArguments,
        FitArguments,
        IndexArguments,
        MendArguments,
        ReadingOptions,
        SearchArguments,
        TrainingOptions,
        *(method.Options for method in METHODS.values()),
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_option_says_what_it_is(kind: type) -> None:
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    for field, after in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) not in (
            "data",
            "encoder",
            "training",
            "embedding",
            "reading",
        ):
            of_method = ast.unparse(field.annotation) == "Options"
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            name = ast.unparse(field.target)
            # An option that a parent has, too, takes over its text.
            inherited = any(name in vars(parent).get("__annotations__", {}) for parent in kind.__mro__[1:])
            assert told or of_method or inherited, f"{kind.__name__}.{name} has no docstring: its flag has no help"


def test_readme_names_commands_and_methods() -> None:
    content = README.read_text()
    for command in ABOUT:
        assert f"unconfound {command}" in content
    for method in METHODS:
        assert f"| `{method}` |" in content


def test_pages_name_every_recipe() -> None:
    content = (ROOT / "docs/recipes.md").read_text()
    for recipe in list_recipes():
        assert f"`{recipe}`" in content
    content = (ROOT / "docs/compare.md").read_text()
    for comparison in list_comparisons():
        assert f"`{comparison}`" in content


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_site_builds_without_warnings_and_needs_no_network(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) >= len(PAGES) - 2
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//[^"]+|<link[^>]*href="(?:https?:)?//[^"]+', page.read_text()
        )
        assert not [tag for tag in loaded if 'rel="canonical"' not in tag]
