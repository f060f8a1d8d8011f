from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from unconfound.data import Dataset, Graphs, Schema, Sequences
from unconfound.data.graphs.pyg import from_pyg
from unconfound.data.load import DataOptions, load_dataset
from unconfound.encoders import build_encoder, load_encoder, loading_snippet, read_card, save_encoder, saved
from unconfound.evaluation.embed import embed

IMAGES = Schema("images", (3, 16, 16), ("a", "b"), ("g",))
ROWS = Schema("tables", (5,), ("no", "yes"))
GRAPHS = Schema("graphs", (4,), ("no", "yes"))
TEXT = Schema("text", (30,))
SERIES = Schema("series", (2,))


def _inputs(schema, batch=3):
    generator = torch.Generator().manual_seed(0)
    if schema.modality == "graphs":
        sizes = torch.arange(batch) + 1
        ring = torch.stack([torch.arange(batch * (batch + 1) // 2)] * 2)
        return Graphs(torch.rand(int(sizes.sum()), *schema.shape, generator=generator), ring, sizes)
    if schema.modality == "text":
        return Sequences(torch.randint(1, *schema.shape, (batch, batch), generator=generator), torch.arange(batch) + 1)
    if schema.modality == "series":
        return Sequences(torch.rand(batch, batch, *schema.shape, generator=generator), torch.arange(batch) + 1)
    return torch.rand(batch, *schema.shape, generator=generator)


def _saved(folder, name="convnet", schema=IMAGES, *, restore=None, **sizes):
    torch.manual_seed(1)
    mean = torch.linspace(0.2, 0.4, 0 if schema.modality == "text" else schema.shape[0])
    encoder = build_encoder(name, schema, mean=mean, deviation=mean * 2, **sizes)
    encoder(_inputs(schema, 8))  # BatchNorm's statistics are no longer the initial ones
    restore = restore or {"size": 16}
    save_encoder(folder, encoder, schema=schema, restore=restore, provenance={"method": "simclr", "seed": None})
    return encoder.eval()


@pytest.mark.parametrize(
    ("name", "schema", "sizes"),
    [
        ("convnet", IMAGES, {}),
        ("convnet", IMAGES, {"width": 4, "depth": 2}),
        ("mlp", ROWS, {"width": 6}),
        ("resnet18", IMAGES, {}),
        ("resnet10t", IMAGES, {}),
        ("vit_tiny_patch16_224", IMAGES, {}),
        ("resnet18", Schema("images", (1, 48, 64)), {}),
        ("gin", GRAPHS, {"width": 6, "depth": 2}),
        ("gin", GRAPHS, {}),
        ("transformer", TEXT, {"width": 16, "depth": 1}),
        ("transformer", SERIES, {}),
        ("gru", TEXT, {}),
        ("gru", SERIES, {"width": 6, "depth": 2}),
    ],
)
def test_an_encoder_makes_the_round_trip_bit_for_bit(tmp_path, name, schema, sizes):
    encoder = _saved(tmp_path / "run", name, schema, **sizes)
    torch.manual_seed(9)
    loaded = load_encoder(tmp_path / "run")
    assert not loaded.training
    before, after = encoder.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)
    with torch.no_grad():
        assert torch.equal(loaded(_inputs(schema)), encoder(_inputs(schema)))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["encoder.json", "encoder.safetensors"]


def test_the_card_says_all_that_is_needed(tmp_path):
    _saved(tmp_path, width=4, depth=2)
    card = read_card(str(tmp_path))
    assert card.schema == IMAGES
    assert card.features == 8
    assert card.architecture == {
        "name": "convnet",
        "shape": [3, 16, 16],
        "modality": "images",
        "width": 4,
        "depth": 2,
    }
    assert card.restore == {"size": 16}
    assert card.provenance == {"method": "simclr", "seed": None}


@pytest.mark.parametrize(("name", "schema"), [("convnet", IMAGES), ("mlp", ROWS)])
def test_the_loading_snippet_runs(tmp_path, name, schema):
    encoder = _saved(tmp_path / "it's a run", name, schema)
    snippet = loading_snippet(tmp_path / "it's a run")
    assert len(snippet.splitlines()) == 3
    names = {"inputs": _inputs(schema)}
    exec(snippet, names)
    assert torch.equal(names["embeddings"], encoder(_inputs(schema)))
    assert f"-> [batch, {encoder.features}]" in snippet


def test_the_loading_snippet_says_what_rows_of_pixels_are(tmp_path):
    _saved(tmp_path, "mlp", ROWS, restore={"kind": "pixel-rows"})
    assert "pixels of an image" in loading_snippet(tmp_path)


def _snippet_embeds(folder: Path, dataset: Dataset, name: str, **given: object) -> None:
    """The lines of a saved encoder, run on what the user has, embed it as the encoder does."""
    encoder = _saved(folder / "it's a run", name, dataset.train.schema, restore=dataset.restore)
    snippet = loading_snippet(folder / "it's a run")
    names = dict(given)
    exec(snippet, names)
    torch.testing.assert_close(names["embeddings"], embed(encoder, dataset.train).features)
    assert f", {encoder.features}]" in snippet


def test_the_loading_snippet_reads_graphs(tmp_path):
    folder = tmp_path / "RINGS"
    folder.mkdir()
    (folder / "RINGS_A.txt").write_text("1, 2\n2, 1\n3, 4\n4, 3\n")
    (folder / "RINGS_graph_indicator.txt").write_text("1\n1\n2\n2\n2\n")
    (folder / "RINGS_node_labels.txt").write_text("7\n3\n3\n3\n5\n")
    _snippet_embeds(tmp_path, load_dataset(DataOptions(data=str(folder))), "gin", path=str(folder))


def test_the_loading_snippet_takes_graphs_of_pytorch_geometric(tmp_path):
    graphs = [
        SimpleNamespace(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]), y=0),
        SimpleNamespace(x=torch.rand(2, 4), edge_index=torch.tensor([[0], [1]]), y=1),
    ]
    _snippet_embeds(tmp_path, from_pyg(graphs), "gin", graphs=graphs)


def test_the_loading_snippet_reads_texts_by_the_vocabulary_of_the_run(tmp_path):
    (tmp_path / "old.csv").write_text("text,kind\na red apple,0\na green apple,1\nno apple,0\na red pear,1\n")
    dataset = load_dataset(DataOptions(data=str(tmp_path / "old.csv"), text="text", label="kind", test_share=0))
    _snippet_embeds(tmp_path, dataset, "transformer", path=str(tmp_path / "old.csv"))
    # Other words and fewer of them: the numbers that the encoder knows are those of its own vocabulary.
    (tmp_path / "new.csv").write_text("text\na red apple\n")
    names = {"path": str(tmp_path / "new.csv")}
    exec(loading_snippet(tmp_path / "it's a run"), names)
    encoder = load_encoder(tmp_path / "it's a run")
    torch.testing.assert_close(names["embeddings"], embed(encoder, dataset.train).features[:1])


def test_the_loading_snippet_reads_series(tmp_path):
    values = np.random.default_rng(0).normal(size=(6, 5, 2)).astype(np.float32)
    np.savez(tmp_path / "waves.npz", series=values)
    dataset = load_dataset(DataOptions(data=str(tmp_path / "waves.npz"), test_share=0))
    _snippet_embeds(tmp_path, dataset, "gru", path=str(tmp_path / "waves.npz"))


def test_a_folder_without_an_encoder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no encoder.json: give the folder of a finished run, or go on"):
        load_encoder(tmp_path)
    _saved(tmp_path)
    (tmp_path / "encoder.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"encoder\.safetensors"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'"text"', b"{}", b'{"format": 2, "schema": 5}']
)
def test_a_damaged_card_is_refused_in_one_line(tmp_path, content):
    _saved(tmp_path)
    (tmp_path / "encoder.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"encoder.json is damaged .*: train the encoder anew") as raised:
        load_encoder(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_card_of_another_format(tmp_path):
    _saved(tmp_path)
    card = json.loads((tmp_path / "encoder.json").read_text())
    for later in ({**card, "format": 3}, {"format": 3}):
        (tmp_path / "encoder.json").write_text(json.dumps(later))
        with pytest.raises(ValueError, match="has format 3, this version of unconfound reads 2"):
            load_encoder(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_refused_in_one_line(tmp_path, share):
    _saved(tmp_path)
    path = tmp_path / "encoder.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="is damaged or of another encoder") as raised:
        load_encoder(tmp_path)
    assert "\n" not in str(raised.value)


def test_weights_of_another_encoder_are_refused_in_one_line(tmp_path):
    _saved(tmp_path / "one", width=4)
    _saved(tmp_path / "two", width=6)
    (tmp_path / "two" / "encoder.safetensors").replace(tmp_path / "one" / "encoder.safetensors")
    with pytest.raises(ValueError, match="is damaged or of another encoder") as raised:
        load_encoder(tmp_path / "one")
    assert "\n" not in str(raised.value)


def test_a_pickle_in_place_of_the_weights_is_not_executed(tmp_path):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    _saved(tmp_path)
    torch.save({"weight": Malicious()}, tmp_path / "encoder.safetensors")
    with pytest.raises(ValueError, match="is damaged"):
        load_encoder(tmp_path)
    assert not (tmp_path / "executed").exists()


def _flipped(path, place, bit):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    encoder = _saved(tmp_path, width=1, depth=1)
    weights = encoder.state_dict()
    for name in ("encoder.safetensors", "encoder.json"):
        path = tmp_path / name
        content = path.read_bytes()
        for place in range(0, len(content), 13):
            _flipped(path, place, place % 8)
            try:
                loaded = load_encoder(tmp_path).state_dict()
            except ValueError as error:
                assert name in str(error)  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert all(torch.equal(weights[key], loaded[key]) for key in weights | loaded)
            path.write_bytes(content)


def test_files_of_an_earlier_version_have_no_checksums_and_are_read(tmp_path):
    encoder = _saved(tmp_path)
    weights = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    save_file(weights, tmp_path / "encoder.safetensors")
    _rewrite(tmp_path / "encoder.json", {})
    assert torch.equal(load_encoder(tmp_path)(_inputs(IMAGES)), encoder(_inputs(IMAGES)))


def _rewrite(path, change):
    """Change what a description says, as a file of an earlier version would say it: without a checksum."""
    card = json.loads(path.read_text())
    del card["checksum"]
    path.write_text(json.dumps(card | change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": 9}, "its embeddings have 8 features, not 9"),
        ({"features": "8"}, "features must be a whole number, got '8'"),
        ({"features": 0}, "must be at least 1"),
        ({"new": 1}, "new is unknown"),
        ({"restore": []}, "restore must be a section"),
        ({"architecture": {"name": "convnet"}}, r"architecture\.shape is missing"),
        ({"schema": {"modality": "image", "shape": [3, 16, 16]}}, r"schema\.modality must be 'images' or"),
        ({"schema": {"modality": "images", "shape": [16]}}, "images have 3 sizes"),
        ({"schema": {"modality": "images", "shape": [3, 16, 17]}}, "architecture is of images of shape"),
    ],
)
def test_a_card_that_says_something_else_is_refused_in_one_line(tmp_path, change, said):
    _saved(tmp_path, width=4, depth=2)
    _rewrite(tmp_path / "encoder.json", change)
    with pytest.raises(ValueError, match=said) as raised:
        load_encoder(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "sizes",
    [
        {"width": 10**9},
        {"depth": 10**9},
        {"wrappers": [{"kind": "Projected", "options": {"features": 10**12}}]},
        {"wrappers": [{"kind": "Morphed", "options": {"reduction": 0}}]},
    ],
)
def test_no_memory_is_taken_for_sizes_that_the_weights_do_not_have(tmp_path, sizes):
    _saved(tmp_path, width=4, depth=2)
    card = json.loads((tmp_path / "encoder.json").read_text())
    _rewrite(tmp_path / "encoder.json", {"architecture": card["architecture"] | sizes})
    with pytest.raises(ValueError, match=r"encoder\.safetensors is damaged or of another encoder") as raised:
        load_encoder(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_kill_between_the_two_files_leaves_a_run_that_loads(tmp_path, monkeypatch):
    """A finished run that is gone on with writes both anew: each vouches for itself, not for the other."""
    first = _saved(tmp_path)

    def killed(path, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved, "write_text", killed)
    changed = build_encoder("convnet", IMAGES)
    with pytest.raises(KeyboardInterrupt):
        save_encoder(tmp_path, changed, schema=IMAGES)
    loaded = load_encoder(tmp_path)
    assert torch.equal(loaded(_inputs(IMAGES)), changed.eval()(_inputs(IMAGES)))
    assert not torch.equal(loaded(_inputs(IMAGES)), first(_inputs(IMAGES)))


def test_a_full_disk_is_an_error_of_the_system_and_leaves_the_earlier_encoder(tmp_path, monkeypatch):
    encoder = _saved(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*encoder\.safetensors") as raised:
            _saved(tmp_path, width=40)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(raised.value)
    assert torch.equal(load_encoder(tmp_path)(_inputs(IMAGES)), encoder(_inputs(IMAGES)))

    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saved, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        _saved(tmp_path / "new")
    with pytest.raises(FileNotFoundError):
        load_encoder(tmp_path / "new")
    assert not list(tmp_path.rglob("*.partial"))


def test_all_files_of_an_encoder_may_be_read_by_those_whom_the_umask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        _saved(tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
