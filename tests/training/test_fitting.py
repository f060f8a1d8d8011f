from __future__ import annotations

import json
import signal
import tomllib

import jaxtyping
import pytest
import torch

from training.toy import convnet, dataset_of, image_source, metrics, options, row_source, same, weights
from training.toy_methods import Interrupted, TwoPhase
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.encoders import build_encoder
from unconfound.lock import FolderLock
from unconfound.methods import Random, SimCLR, Supervised
from unconfound.training import TrainingOptions, TrainingStopped, fit
from unconfound.training.run_folder import RunFolder

SOURCE = image_source(48)
DATA = dataset_of(SOURCE)


def _supervised(source=SOURCE, **sizes):
    return Supervised(convnet(source, **sizes), source.schema)


def _subset(source, keep, **changes):
    values = {"inputs": source.inputs[keep], "labels": source.labels[keep], "schema": source.schema} | changes
    return MemorySource("part", **values)


def test_a_run_folder_holds_all_of_a_run(tmp_path):
    source = image_source(48)
    source.notes = ("skipped 2 images: a.png, b.png",)
    dataset = Dataset(source, {"test": source}, source, restore={"size": 8})
    training = options(log_every=2, learning_rate=0.01)
    fitted = fit(_supervised(), dataset, out=tmp_path / "run", training=training)
    assert fitted.run == tmp_path / "run"
    names = {path.relative_to(fitted.run).as_posix() for path in fitted.run.rglob("*") if path.is_file()}
    wanted = {"config.toml", "environment.json", "metrics.csv", "log.txt", "checkpoint/state.pt"}
    assert names == wanted | {"encoder.json", "encoder.safetensors", "classifier.safetensors"}

    config = tomllib.loads((fitted.run / "config.toml").read_text())
    assert config["method"] == "supervised"
    assert config["options"]["label_smoothing"] == 0.0
    assert "data" not in config  # handed over in Python: no words for a command
    assert config["training"]["learning_rate"] == 0.01
    assert "batch_size" in config["training"]
    assert "gradient_clip" not in config["training"]

    log = (fitted.run / "log.txt").read_text()
    assert "skipped 2 images: a.png, b.png" in log
    assert "training supervised: convnet, 420 weights, 8 features; 48 samples of toys, batches of 16, on cpu" in log
    assert "trained supervised in" in log

    rows = metrics(fitted.run)
    assert [row["step"] for row in rows] == ["2", "3", "4", "6"]
    assert set(rows[0]) >= {"step", "epoch", "phase", "learning_rate", "loss", "accuracy", "effective_rank"}

    card = json.loads((fitted.run / "encoder.json").read_text())
    assert card["restore"] == {"size": 8}
    assert card["provenance"]["method"] == "supervised"
    assert card["provenance"]["data"] == {"name": "toys", "samples": 48}
    assert card["provenance"]["trained"] is True
    assert card["provenance"]["labels"] is True
    assert card["provenance"]["groups"] is False


def test_the_encoder_that_is_returned_is_the_trained_one_ready_for_use(tmp_path):
    method = _supervised()
    fitted = fit(method, DATA, out=tmp_path / "run", training=options())
    assert not fitted.encoder.training
    assert same(dict(fitted.encoder.state_dict()), dict(method.encoder.state_dict()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_saves_and_the_run_goes_on_exactly(tmp_path, number):
    torch.manual_seed(1)
    start = weights(SimCLR(convnet(SOURCE), SOURCE.schema))

    def method(at=-1):
        host = SimCLR(convnet(SOURCE, seed=at), SOURCE.schema)
        if at != 0:
            host.load_state_dict(start)
        return Interrupted(host, at, number)

    training = options(log_every=1)
    whole = method()
    fit(whole, DATA, out=tmp_path / "whole", training=training)
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(TrainingStopped, match="go on with the same command and --resume") as stopped:
        fit(method(at=2), DATA, out=tmp_path / "run", training=training)
    assert stopped.value.number == number
    # Nothing that goes on after a mistake goes on after this.
    assert not isinstance(stopped.value, Exception)
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before
    assert torch.load(tmp_path / "run" / "checkpoint" / "state.pt", weights_only=True)["position"]["step"] == 2
    assert not (tmp_path / "run" / "encoder.json").exists()
    assert "go on with the same command and --resume" in (tmp_path / "run" / "log.txt").read_text()

    other = method(at=0)  # other weights, that the checkpoint replaces
    fit(other, DATA, out=tmp_path / "run", training=training, resume=True)
    assert same(weights(other), weights(whole))
    assert "resuming" in (tmp_path / "run" / "log.txt").read_text()
    losses = [[(row["step"], row["loss"]) for row in metrics(tmp_path / name)] for name in ("run", "whole")]
    assert losses[0] == losses[1]


def test_a_second_signal_acts_at_once(tmp_path):
    class Impatient(Interrupted):
        def forward(self, batch, phase="train"):
            signal.raise_signal(signal.SIGINT)
            return super().forward(batch, phase)

    method = Impatient(_supervised(), at=1, number=signal.SIGINT)
    # A shell that starts tests in the background has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(method, DATA, out=tmp_path / "run", training=options())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_finished_run_that_is_resumed_changes_nothing(tmp_path):
    first = fit(_supervised(), DATA, out=tmp_path / "run", training=options(ema_decay=0.5))
    rows = metrics(first.run)
    again = fit(_supervised(seed=3), DATA, out=tmp_path / "run", training=options(ema_decay=0.5), resume=True)
    assert same(dict(again.encoder.state_dict()), dict(first.encoder.state_dict()))
    assert metrics(first.run) == rows


def test_resume_starts_where_there_is_nothing(tmp_path):
    fit(_supervised(), DATA, out=tmp_path / "run", training=options(), resume=True)


def test_folders_of_others_are_refused_before_anything_happens(tmp_path):
    fit(_supervised(), DATA, out=tmp_path / "run", training=options())
    before = (tmp_path / "run" / "log.txt").read_text()
    with pytest.raises(ValueError, match="holds another run"):
        fit(_supervised(), DATA, out=tmp_path / "run", training=options())
    with pytest.raises(ValueError, match=r"other options \(epochs = 2; epochs = 3\)"):
        fit(_supervised(), DATA, out=tmp_path / "run", training=options(epochs=3), resume=True)
    assert (tmp_path / "run" / "log.txt").read_text() == before
    fit(_supervised(), DATA, out=tmp_path / "run", training=options(epochs=3), overwrite=True)
    assert len(metrics(tmp_path / "run")) == 3


def test_checkpoints_that_do_not_fit_are_refused_in_one_line(tmp_path):
    config = {"method": "whatever"}
    fit(_supervised(), DATA, out=tmp_path / "run", training=options(), config=config)

    def resumed(method, **changes):
        fit(method, DATA, out=tmp_path / "run", training=options(**changes), config=config, resume=True)

    with pytest.raises(ValueError, match="is of method 'supervised', not 'simclr'"):
        resumed(SimCLR(convnet(SOURCE), SOURCE.schema))
    with pytest.raises(ValueError, match="does not fit this method and its options") as raised:
        resumed(_supervised(width=6))
    assert "\n" not in str(raised.value)
    (tmp_path / "run" / "checkpoint" / "state.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="truncated or damaged"):
        resumed(_supervised())


def test_the_default_batch_adapts_and_says_so_and_a_stated_one_does_not(tmp_path):
    fit(_supervised(), DATA, out=tmp_path / "run", training=options(batch_size=None))
    assert "batch size 48, as there are only 48 training samples" in (tmp_path / "run" / "log.txt").read_text()
    fit(_supervised(), DATA, out=tmp_path / "accumulating", training=options(batch_size=None, accumulate=3))
    assert "batch size 16, as" in (tmp_path / "accumulating" / "log.txt").read_text()
    with pytest.raises(ValueError, match="batch_size 49 is more than the 48 training samples"):
        fit(_supervised(), DATA, out=tmp_path / "other", training=options(batch_size=49))
    with pytest.raises(ValueError, match="batch_size 25 x accumulate 2 is more than the 48 training samples"):
        fit(_supervised(), DATA, out=tmp_path / "other", training=options(batch_size=25, accumulate=2))
    with pytest.raises(
        ValueError, match=r"too few for one update: 48, where 49 or more are needed \(49 batches an update\)"
    ):
        fit(_supervised(), DATA, out=tmp_path / "other", training=options(batch_size=None, accumulate=49))
    assert not (tmp_path / "other").exists()


def test_labels_are_learnt_from_where_they_are_and_needed_where_they_must(tmp_path):
    half = _subset(SOURCE, slice(0, 32))
    some = Dataset(SOURCE, {}, labelled=half)
    fit(_supervised(), some, out=tmp_path / "some", training=options())
    assert "32 samples of part" in (tmp_path / "some" / "log.txt").read_text()
    fit(SimCLR(convnet(SOURCE), SOURCE.schema), some, out=tmp_path / "all", training=options())
    assert "48 samples of toys" in (tmp_path / "all" / "log.txt").read_text()

    with pytest.raises(ValueError, match="supervised learns from labels and toys has none: give labels"):
        fit(_supervised(), Dataset(SOURCE, {}), out=tmp_path / "none", training=options())
    for labels in (SOURCE.labels - 1, SOURCE.labels + 1):
        wrong = _subset(SOURCE, slice(None), labels=labels)
        with pytest.raises(
            ValueError, match=r"labels of part are 0 to 1, got -?\d to \d: leave out the samples without"
        ):
            fit(_supervised(), Dataset(SOURCE, {}, labelled=wrong), out=tmp_path / "none", training=options())
    one = _subset(SOURCE, SOURCE.labels == 1)
    with pytest.raises(ValueError, match="all 24 labelled samples of part are of one class, 'b'"):
        fit(_supervised(), Dataset(SOURCE, {}, labelled=one), out=tmp_path / "none", training=options())
    assert not (tmp_path / "none").exists()


def test_two_phases_and_no_phase_leave_the_same_kind_of_folder(tmp_path):
    fitted = fit(TwoPhase(convnet(SOURCE), SOURCE.schema), DATA, out=tmp_path / "two", training=options())
    fitted = fit(Random(convnet(SOURCE), SOURCE.schema), DATA, out=tmp_path / "none", training=options())
    assert metrics(fitted.run) == []
    assert json.loads((fitted.run / "encoder.json").read_text())["provenance"]["trained"] is False
    again = fit(Random(convnet(SOURCE, seed=5), SOURCE.schema), DATA, out=fitted.run, training=options(), resume=True)
    assert same(dict(again.encoder.state_dict()), dict(fitted.encoder.state_dict()))


@pytest.mark.parametrize(("name", "share"), [("simclr", 0.93), ("supervised", 0.5)])
def test_a_tiny_run_on_images_learns_and_does_not_collapse(name, share, tmp_path):
    source = image_source(64)
    torch.manual_seed(0)
    method = {"simclr": SimCLR, "supervised": Supervised}[name](convnet(source, width=8), source.schema)
    training = options(epochs=12, batch_size=32, log_every=2, learning_rate=0.02)
    run = fit(method, dataset_of(source), out=tmp_path / "run", training=training).run
    rows = metrics(run)
    assert float(rows[-1]["loss"]) < share * float(rows[0]["loss"])
    assert float(rows[-1]["effective_rank"]) > 1.5
    assert "collapse" not in (run / "log.txt").read_text()


def test_a_tiny_run_on_rows_learns(tmp_path):
    source = row_source(96)
    source.inputs = source.inputs.float()
    torch.manual_seed(0)
    method = Supervised(build_encoder("mlp", source.schema, width=16, depth=2), source.schema)
    run = fit(method, dataset_of(source), out=tmp_path / "run", training=options(epochs=15, learning_rate=0.02)).run
    rows = metrics(run)
    assert float(rows[-1]["loss"]) < 0.3 * float(rows[0]["loss"])
    assert float(rows[-1]["accuracy"]) > 0.95


@pytest.mark.parametrize(
    "extra", [{"learning_rate": 0.5}, {"optimizer": "sgd"}, {"optimizer": "lars"}, {"optimizer": "rmsprop"}]
)
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_optimizers_and_precisions_run(extra, precision, tmp_path):
    training = options(epochs=1, precision=precision, **extra)
    fit(SimCLR(convnet(SOURCE), SOURCE.schema), DATA, out=tmp_path / "run", training=training)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0, got -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0"),
        ({"warmup_epochs": -1.0}, "warmup_epochs must be at least 0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"log_every": 0}, "log_every must be at least 1"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds must be at least 0"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam': did you mean 'adamw'?"),
        ({"precision": "64"}, "unknown precision '64': "),
    ],
)
def test_options_out_of_range_name_the_value_and_what_is_allowed(wrong, message):
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(ValueError, match=message):
            TrainingOptions(**wrong)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_a_device_that_is_not_here_is_refused(tmp_path):
    with pytest.raises(ValueError, match="device 'tpu' is not available here: use auto or cpu"):
        fit(_supervised(), DATA, out=tmp_path / "run", training=options(device="tpu"))
    assert not (tmp_path / "run").exists()


def test_a_schema_without_the_labels_is_no_data_set(tmp_path):
    bare = MemorySource("bare", Schema("images", (3, 8, 8)), SOURCE.inputs)
    fit(SimCLR(convnet(bare), bare.schema), dataset_of(bare), out=tmp_path / "run", training=options())


def test_two_processes_do_not_train_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(FolderLock.__init__, "__kwdefaults__", {"patience": 0.0})
    out = tmp_path / "run"
    fit(_supervised(), DATA, out=out, training=options())
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with FolderLock(out) as other:
        other.acquire()
        for way in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(ValueError, match=rf"another process is at work in .*{out.name}"):
                fit(_supervised(), DATA, out=out, training=options(), **way)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # The folder stays locked while an earlier run is removed.
    looked = []

    def check(folder, config):
        with FolderLock(folder.path) as other, pytest.raises(ValueError, match="another process"):
            other.acquire()
        looked.append(list(folder.path.iterdir()))

    monkeypatch.setattr(RunFolder, "check_config", check)
    fit(_supervised(), DATA, out=out, training=options(), overwrite=True)
    assert looked == [[]]
    assert (out / "encoder.json").is_file()
    with FolderLock(out) as other:
        other.acquire()
