"""Names in backticks are true: the file, the Python name or the flag that a page mentions exists.

Snippets are executed by `test_docs.py`; this checks the prose around them. The changelog is left out, because it also
names what is gone.
"""

from __future__ import annotations

import contextlib
import io
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import unconfound
from unconfound.cli import ABOUT, main
from unconfound.methods import METHODS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "unconfound"
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
PATH = re.compile(r"[\w.+-]+(?:/[\w.+-]+)*/?")
DOTTED = re.compile(r"\bunconfound(?:\.[A-Za-z_]\w*)+")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")

# Names that belong to other projects.
FILES_ELSEWHERE = {"docs/papers/mlrc.md"}  # of KevinMusgrave/powerful-benchmarker
FLAGS_ELSEWHERE = {"--ntasks"}  # of srun


def is_ours(path: str) -> bool:
    """Whether a word names a file or folder of this project, and not one of a user or of a data set.

    Python files always do; other paths where they begin with a folder of the checkout or of the package.
    """
    first, *rest = path.split("/")
    return path.endswith(".py") or (bool(rest) and any((base / first).is_dir() for base in (ROOT, PACKAGE)))


def exists(path: str) -> bool:
    found = any((base / path).exists() for base in (ROOT, PACKAGE, DOCS))
    return found or (path.endswith(".py") and "/" not in path and any(PACKAGE.rglob(path)))


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or what can be reached from one by its attributes."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            reached: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(reached, part):
                return False
            reached = getattr(reached, part)
        return True
    return False


@cache
def flags() -> frozenset[str]:
    """Every flag in the usage text of any command, and of `fit` with any method."""
    usages = [[command] for command in ABOUT if command not in ("fit", "list")]
    usages += [["fit", method] for method in METHODS]
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.setenv("COLUMNS", "200")
        for words in usages:
            with contextlib.suppress(SystemExit):
                main([*words, "--help"])
    return frozenset(FLAG.findall(text.getvalue())) | {"--help", "--version", "--recipe"}


def untrue_names(text: str) -> list[str]:
    """The names in the code spans of a page that are nowhere to be found."""
    untrue = []
    for span in CODE.findall(FENCED.sub("", text)):
        for word in span.split():
            if PATH.fullmatch(word) and is_ours(word) and word not in FILES_ELSEWHERE and not exists(word):
                untrue.append(word)
        untrue += [name for name in DOTTED.findall(span) if not resolves(name)]
        untrue += [flag for flag in FLAG.findall(span) if flag not in flags() | FLAGS_ELSEWHERE]
    return untrue


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_are_true(page: Path) -> None:
    assert not untrue_names(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "untrue"),
    [
        ("See `data/images/folder.py`.", []),
        ("See `data/images/folders.py`.", ["data/images/folders.py"]),
        ("In `data/pictures/` and `tests/fuzzing/`.", ["data/pictures/"]),
        ("Run `train/cat/1.jpg` through `mine.toml`.", []),
        ("Call `unconfound.data.load.load_dataset(options)`.", []),
        ("Call `unconfound.data.load.load_datasets(options)`.", ["unconfound.data.load.load_datasets"]),
        ("In `unconfound.functions`, say.", ["unconfound.functions"]),
        ("Give `--batch-size 3 --no-unseen-classes`.", []),
        ("Give `--batchsize 3`.", ["--batchsize"]),
        ("```bash\nmake --directory /tmp\n```\n", []),
    ],
)
def test_wrong_names_are_found(text: str, untrue: list[str]) -> None:
    assert untrue_names(text) == untrue


def test_citation_names_the_version() -> None:
    assert f"\nversion: {unconfound.__version__}\n" in (ROOT / "CITATION.cff").read_text()
