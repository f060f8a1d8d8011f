"""What a run leaves and is read back: encoder, classifier, checkpoint, configuration, figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from unconfound.commands.evaluate import EvaluateArguments, run_recipe
from unconfound.comparison.plan import planned
from unconfound.comparison.rows import rows_of
from unconfound.data import Schema
from unconfound.encoders import (
    build_encoder,
    load_classifier,
    load_encoder,
    loading_snippet,
    read_card,
    save_classifier,
    save_encoder,
)
from unconfound.evaluation.figures import Evaluation, Figure, read_evaluation, write_evaluations
from unconfound.fit_parsing import parse_fit
from unconfound.methods import METHODS
from unconfound.options.compare import CompareArguments
from unconfound.parsing import parse
from unconfound.recipes import read_recipe
from unconfound.training.checkpoint import Position, load_checkpoint, save_checkpoint
from unconfound.training.run_folder import Metrics, RunFolder
from unconfound.training.saved_method import load_method

from .harness import Kind

IMAGES = Schema("images", (3, 8, 8), ("circle", "square"), ("left", "right"))
RECIPE = """\
# a comment
method = "simclr"

[data]
data = "demo"
test_share = 0.25

[encoder]
encoder = "convnet"
width = 16

[training]
epochs = 20
learning_rate = 2e-3

[options]
temperature = 0.5
projection_layers = 2
crop_scale = [0.5, 1.0]
"""
COMPARISON = """\
baseline = "cold"
seeds = [0]
metrics = ["linear_probe"]

[data]
data = "demo"

[over]
correlation = [0.5]

[rows.cold]
method = "simclr"
options = {temperature = 0.1}

[rows.warm]
recipe = "simclr/demo"
candidates = [{epochs = 3}]
"""


def _bits(state: dict[str, torch.Tensor]) -> dict[str, tuple[str, bytes]]:
    return {name: (str(value.shape), value.contiguous().numpy().tobytes()) for name, value in state.items()}


def _encoder(folder: Path, name: str) -> Path:
    torch.manual_seed(0)
    encoder = build_encoder("convnet", IMAGES, width=2, depth=2)
    restore = {"kind": "images", "image_size": 8, "channels": 3}
    save_encoder(folder, encoder, schema=IMAGES, restore=restore, provenance={"method": "simclr", "seconds": 1.5})
    return folder / name


def _read_encoder(path: Path) -> object:
    loading_snippet(path.parent)
    return repr(read_card(path.parent)), _bits(load_encoder(path.parent).state_dict())


def _encoder_of_an_earlier_version(folder: Path, name: str) -> Path:
    path = _encoder(folder, name)
    if name == "encoder.json":
        said = json.loads(path.read_text())
        del said["checksum"]
        path.write_text(json.dumps(said, indent=2))
    else:
        weights = {name: value.contiguous() for name, value in load_encoder(folder).state_dict().items()}
        save_file(weights, path)
    return path


def _classifier(folder: Path) -> Path:
    torch.manual_seed(0)
    save_classifier(folder, nn.Linear(4, 3))
    return folder / "classifier.safetensors"


def _read_classifier(path: Path) -> object:
    found = load_classifier(path.parent)
    return found and _bits(found.state_dict())


def _checkpoint(folder: Path) -> Path:
    state = {"method": {"weight": torch.arange(100.0)}, "optimizers": {"train": {"step": 3}}, "average": None}
    save_checkpoint(folder / "state.pt", method="simclr", position=Position(1, 0, 2, 30), state=state)
    return folder / "state.pt"


def _read_checkpoint(path: Path) -> object:
    position, state = load_checkpoint(path, method="simclr")
    return position, _bits(state.pop("method")), state


def _method(folder: Path, name: str) -> Path:
    """A finished run, as far as its method is rebuilt from it."""
    run = RunFolder(folder)
    run.start({"method": "supervised", "options": {"label_smoothing": 0.1}})
    schema = Schema("tables", (3,), ("no", "yes"))
    method = METHODS["supervised"](build_encoder("mlp", schema, width=2, depth=1), schema)
    save_encoder(folder, method.encoder, schema=schema)
    save_checkpoint(
        run.checkpoint, method="supervised", position=Position(), state={"method": method.state_dict(), "rest": None}
    )
    return folder / name


def _read_method(path: Path) -> object:
    return _bits(load_method(path.parent).state_dict())


def _text(name: str, content: str) -> Any:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return make


def _read_recipe(path: Path) -> object:
    return repr(parse_fit([], method=None, recipe=read_recipe(str(path))))


def _read_config(path: Path) -> object:
    recipe = run_recipe(path.parent)
    return repr(parse(EvaluateArguments, [str(path.parent)], command="evaluate", recipe=recipe, sections=("data",)))


def _read_comparison(path: Path) -> object:
    return repr(planned(rows_of([str(path)], methods=METHODS), CompareArguments(out=path.parent / "out"), []))


def _evaluation(folder: Path) -> Path:
    figure = Figure(0.5, 0.4, 0.6, 100)
    evaluation = Evaluation("größer", {"test": {"knn": figure}}, {"test": {"left": figure}}, settings={"seed": 0})
    write_evaluations(folder / "evaluation.json", [evaluation], command="evaluate", environment={"cores": 2})
    return folder / "evaluation.json"


def _metrics(folder: Path) -> Path:
    metrics = Metrics(folder / "metrics.csv")
    for step in range(10):
        metrics.add({"step": step, "phase": "train", "loss": 1 / (step + 1)})
    return folder / "metrics.csv"


def _read_metrics(path: Path) -> object:
    return Metrics(path, step=10).rows


RUN_KINDS = (
    Kind("encoder.json", lambda folder: _encoder(folder, "encoder.json"), _read_encoder, sealed=True),
    Kind("encoder.safetensors", lambda folder: _encoder(folder, "encoder.safetensors"), _read_encoder, sealed=True),
    Kind(
        "encoder.json of an earlier version",
        lambda folder: _encoder_of_an_earlier_version(folder, "encoder.json"),
        lambda path: _read_encoder(path) if (path.parent / "encoder.safetensors").is_file() else None,
    ),
    Kind(
        "encoder.safetensors of an earlier version",
        lambda folder: _encoder_of_an_earlier_version(folder, "encoder.safetensors"),
        _read_encoder,
    ),
    Kind("classifier.safetensors", _classifier, _read_classifier, sealed=True),
    Kind("checkpoint", _checkpoint, _read_checkpoint, sealed=True),
    Kind("a run's config.toml, to rebuild its method", lambda folder: _method(folder, "config.toml"), _read_method),
    Kind("a run's config.toml, to evaluate it", _text("config.toml", RECIPE), _read_config),
    Kind("recipe", _text("recipe.toml", RECIPE), _read_recipe),
    Kind("comparison", _text("rows.toml", COMPARISON), _read_comparison),
    Kind("evaluation.json", _evaluation, read_evaluation, sealed=True),
    Kind("metrics.csv", _metrics, _read_metrics),
)
