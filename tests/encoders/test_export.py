from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import unconfound
from unconfound.data import Schema
from unconfound.encoders import Morphed, build_encoder, export, load_encoder, save_classifier, save_encoder
from unconfound.encoders.export import METADATA, Port, export_run

IMAGES = Schema("images", (3, 16, 20), ("cat", "dog"))
ROWS = Schema("tables", (5,), ("no", "maybe", "yes"))
SMALL = {"width": 8, "depth": 2}


def _run(folder, name="convnet", schema=IMAGES, *, classes=None, restore=None, morpher=None, **sizes):
    """Save an encoder as a finished run does, with a classifier of so many classes; return both."""
    torch.manual_seed(0)
    mean = torch.linspace(0.2, 0.6, schema.shape[0])
    encoder = build_encoder(name, schema, mean=mean, deviation=mean / 2, **sizes)
    if morpher is not None:
        encoder.wrap(Morphed, **morpher)
    encoder(torch.rand(8, *schema.shape))  # BatchNorm's statistics are no longer the initial ones
    save_encoder(folder, encoder, schema=schema, restore=restore, provenance={"method": "supervised"})
    classifier = None if classes is None else nn.Linear(encoder.features, classes)
    if classifier is not None:
        save_classifier(folder, classifier)
    return encoder.eval(), classifier


def _samples(schema, dtype, batch):
    pixels = torch.randint(0, 256, (batch, *schema.shape), generator=torch.Generator().manual_seed(5))
    return pixels.to(torch.uint8) if dtype == "uint8" else pixels / 255


def _onnx_session(path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _check_onnx(path, encoder, classifier, schema, dtype):
    """onnxruntime gives the encoder's embeddings and the classifier's logits, for batches of any size."""
    session = _onnx_session(path)
    for batch in (1, 2, 7):
        samples = _samples(schema, dtype, batch)
        answers = session.run(None, {"inputs": samples.numpy()})
        with torch.no_grad():
            embeddings = encoder(samples)
            expected = [embeddings] if classifier is None else [embeddings, classifier(embeddings)]
        assert len(answers) == len(expected)
        for answer, values in zip(answers, expected, strict=True):
            np.testing.assert_allclose(answer, values.numpy(), rtol=1e-4, atol=1e-4)
    return session


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_with_a_morpher_and_a_classifier_in_onnx(tmp_path, dtype):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    run, out = tmp_path / "run", tmp_path / "encoder.onnx"
    encoder, classifier = _run(run, classes=2, morpher={"mask_channels": 3, "reduction": 2}, **SMALL)
    exported = export_run(run, out, dtype=dtype)
    assert exported.input == Port("inputs", dtype, ("batch", 3, 16, 20))
    assert exported.outputs == (
        Port("embeddings", "float32", ("batch", encoder.features)),
        Port("logits", "float32", ("batch", 2)),
    )
    assert exported.classes == ("cat", "dog")
    session = _check_onnx(out, encoder, classifier, IMAGES, dtype)
    assert [(port.name, port.shape) for port in session.get_inputs()] == [("inputs", ["batch", 3, 16, 20])]
    assert [(port.name, port.shape) for port in session.get_outputs()] == [
        ("embeddings", ["batch", encoder.features]),
        ("logits", ["batch", 2]),
    ]
    stored = session.get_modelmeta().custom_metadata_map
    assert stored == exported.metadata
    assert json.loads(stored["classes"]) == ["cat", "dog"]
    assert json.loads(stored["shape"]) == [3, 16, 20]
    assert stored["unconfound"] == unconfound.__version__
    assert (stored["run"], stored["method"], stored["dtype"]) == (str(run), "supervised", dtype)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.onnx", "run"]


def test_a_table_in_onnx(tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    columns = ["age", "sex=f", "sex=m", "work=a", "work=b"]
    restore = {"kind": "table", "columns": columns, "encoding": {"columns": [{"name": "age", "low": 18.0}]}}
    encoder, classifier = _run(tmp_path, "mlp", ROWS, classes=3, restore=restore, width=6)
    exported = export_run(tmp_path, tmp_path / "rows.onnx")
    assert exported.input == Port("inputs", "float32", ("batch", 5))
    session = _check_onnx(tmp_path / "rows.onnx", encoder, classifier, ROWS, "float32")
    stored = session.get_modelmeta().custom_metadata_map
    assert json.loads(stored["columns"]) == columns
    assert json.loads(stored["encoding"]) == restore["encoding"]


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_larger_networks_in_onnx(tmp_path, name):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    pytest.importorskip("timm", reason="timm is not installed")
    schema = Schema("images", (3, 32, 32))
    encoder, _ = _run(tmp_path, name, schema)
    exported = export_run(tmp_path, tmp_path / "encoder.onnx")
    assert [port.name for port in exported.outputs] == ["embeddings"]
    _check_onnx(tmp_path / "encoder.onnx", encoder, None, schema, "uint8")


def test_a_program_of_torch_runs_without_unconfound(tmp_path):
    encoder, classifier = _run(tmp_path, classes=2, morpher={}, **SMALL)
    exported = export_run(tmp_path, tmp_path / "encoder.pt2")
    images = _samples(IMAGES, "uint8", 5)
    with torch.no_grad():
        embeddings = encoder(images)
        torch.save({"images": images, "embeddings": embeddings, "logits": classifier(embeddings)}, tmp_path / "known")
    code = f"""
import json, sys, torch
sys.modules["unconfound"] = None
stored = {{{METADATA!r}: ""}}
program = torch.export.load("encoder.pt2", extra_files=stored).module()
known = torch.load("known")
answers = program(known.pop("images"))
assert answers.keys() == known.keys()
for name, values in known.items():
    torch.testing.assert_close(answers[name], values, rtol=1e-4, atol=1e-4)
assert json.loads(stored[{METADATA!r}]) == {exported.metadata!r}
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_table_of_pixels_takes_pixels(tmp_path):
    encoder, _ = _run(tmp_path, "mlp", ROWS, restore={"kind": "pixel-rows"}, width=6)
    exported = export_run(tmp_path, tmp_path / "rows.pt2")
    assert exported.input == Port("inputs", "uint8", ("batch", 5))
    rows = _samples(ROWS, "uint8", 4)
    answers = torch.export.load(tmp_path / "rows.pt2").module()(rows)
    torch.testing.assert_close(answers["embeddings"], encoder(rows), rtol=1e-4, atol=1e-4)


def test_logits_of_other_classes_than_the_runs_have_no_names(tmp_path):
    _run(tmp_path, "mlp", ROWS, classes=4, width=6)
    exported = export_run(tmp_path, tmp_path / "rows.pt2")
    assert exported.outputs[1].shape == ("batch", 4)
    assert exported.classes == ()


def test_without_the_classifier(tmp_path):
    _run(tmp_path, "mlp", ROWS, classes=3, width=6)
    exported = export_run(tmp_path, tmp_path / "rows.pt2", classifier=False)
    assert [port.name for port in exported.outputs] == ["embeddings"]
    assert exported.classes == ()
    answers = torch.export.load(tmp_path / "rows.pt2").module()(torch.rand(3, 5))
    assert answers.keys() == {"embeddings"}


@pytest.mark.parametrize(
    ("name", "schema"),
    [("gin", Schema("graphs", (4,))), ("gru", Schema("text", (30,))), ("gru", Schema("series", (2,)))],
)
def test_graphs_and_sequences_have_no_fixed_shape(tmp_path, name, schema):
    encoder = build_encoder(name, schema)
    save_encoder(tmp_path, encoder, schema=schema)
    with pytest.raises(ValueError, match=f"takes {schema.modality}, which have no fixed shape"):
        export_run(tmp_path, tmp_path / "encoder.onnx")


def test_mistakes_are_named_and_leave_what_is_there(tmp_path):
    run = tmp_path / "run"
    _run(run, "mlp", ROWS, width=6)
    earlier = tmp_path / "earlier.pt2"
    earlier.write_text("earlier")
    with pytest.raises(ValueError, match=r"encoder\.pt must end in \.onnx or \.pt2"):
        export_run(run, tmp_path / "encoder.pt")
    with pytest.raises(ValueError, match="is there already"):
        export_run(run, earlier)
    with pytest.raises(ValueError, match="dtype must be float32, got uint8"):
        export_run(run, tmp_path / "rows.pt2", dtype="uint8")
    with pytest.raises(FileNotFoundError, match=r"holds no encoder\.json"):
        export_run(tmp_path, tmp_path / "rows.pt2")
    assert earlier.read_text() == "earlier"
    export_run(run, earlier, overwrite=True)
    assert torch.export.load(earlier).module()(torch.rand(3, 5)).keys() == {"embeddings"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier.pt2", "run"]


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_without_the_libraries_of_onnx_the_extra_is_named(tmp_path, monkeypatch, missing):
    _run(tmp_path, "mlp", ROWS, width=6)

    def require(module, *, extra):
        if module == missing:
            raise ImportError(f"{module} is not installed: it comes with `pip install 'unconfound[{extra}]'`")

    monkeypatch.setattr(export, "require", require)
    with pytest.raises(ImportError, match=rf"{missing} is not installed: .*unconfound\[export\]"):
        export_run(tmp_path, tmp_path / "rows.onnx")
    export_run(tmp_path, tmp_path / "rows.pt2")


def test_weights_beyond_one_onnx_file(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    _run(tmp_path, "mlp", ROWS, width=6)
    monkeypatch.setattr(export, "LARGEST_ONNX", 100)
    with pytest.raises(ValueError, match=r"one \.onnx file holds .*: export to \.pt2"):
        export_run(tmp_path, tmp_path / "rows.onnx")


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_file_that_answers_otherwise_is_removed(tmp_path, monkeypatch, suffix, wrong):
    if suffix == ".onnx":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    run, out = tmp_path / "run", tmp_path / f"rows{suffix}"
    _run(run, "mlp", ROWS, width=6)
    out.write_text("earlier")
    convert = torch.export.export

    def otherwise(network, *arguments, **options):
        other = copy.deepcopy(network)
        other.encoder.network.network.layers[-1][1].bias.add_(wrong)
        return convert(other, *arguments, **options)

    monkeypatch.setattr(torch.export, "export", otherwise)
    with pytest.raises(ArithmeticError, match="was not written: its embeddings differ from the encoder's by up to"):
        export_run(run, out, overwrite=True)
    assert out.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "run"]


def test_a_network_that_cannot_be_exported_is_told_in_one_line(tmp_path, monkeypatch):
    _run(tmp_path, "mlp", ROWS, width=6)

    def loaded(run):
        encoder = load_encoder(run)
        # What it does depends on the numbers that it is given, and so on more than their shapes.
        encoder.network.register_forward_pre_hook(lambda _, inputs: inputs[0] * 2 if inputs[0].sum() > 0 else None)
        return encoder

    monkeypatch.setattr(export, "load_encoder", loaded)
    with pytest.raises(ValueError, match=r"cannot be exported \(.*\): use load_encoder") as raised:
        export_run(tmp_path, tmp_path / "rows.pt2")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "rows.pt2").exists()
