from __future__ import annotations

import pytest
import torch

from training.toy import convnet, dataset_of, image_source, metrics, options, same, weights
from training.toy_methods import Interrupted, TwoPhase
from unconfound.methods import Supervised
from unconfound.training import Callback, LoggerCallback, TrainingStopped, fit

SOURCE = image_source(48)


class Written(Callback):
    """Writes down what it is told, and draws random numbers meanwhile."""

    def __init__(self):
        self.told = []

    def start(self, folder, config, *, step):
        self.told.append(("start", folder.name, config["training"]["batch_size"], step))

    def row(self, row):
        self.told.append(("row", int(row["step"]), row["phase"]))

    def epoch(self, epoch, encoder):
        torch.randn(3)
        self.told.append(("epoch", epoch, encoder.training))
        return {"mean_weight": float(next(encoder.parameters()).detach().mean())} if epoch == 2 else {}

    def alarm(self, line):
        self.told.append(("alarm", line))

    def end(self, *, finished):
        self.told.append(("end", finished))


def _supervised():
    return Supervised(convnet(SOURCE), SOURCE.schema)


def test_a_callback_is_told_everything_in_order_and_changes_nothing(tmp_path):
    training = options(epochs=2, log_every=2, ema_decay=0.5)
    alone = fit(_supervised(), dataset_of(SOURCE), out=tmp_path / "alone", training=training)
    written = Written()
    followed = fit(_supervised(), dataset_of(SOURCE), out=tmp_path / "followed", training=training, callbacks=[written])
    assert same(weights(alone.encoder), weights(followed.encoder))
    assert written.told == [
        ("start", "followed", 16, 0),
        ("row", 2, "train"),
        ("row", 3, "train"),
        ("epoch", 1, True),
        ("row", 4, "train"),
        ("row", 6, "train"),
        ("epoch", 2, True),
        ("row", 6, "monitor"),
        ("end", True),
    ]
    last = metrics(followed.run)[-1]
    # That of the moving average, which is what is saved.
    expected = next(followed.encoder.parameters()).detach().mean()
    assert float(last["mean_weight"]) == pytest.approx(float(expected), abs=1e-6)
    assert [row["phase"] for row in metrics(alone.run)] == ["train"] * 4


def test_an_epoch_of_several_passes_ends_once(tmp_path):
    written = Written()
    method = TwoPhase(convnet(SOURCE), SOURCE.schema)
    fit(method, dataset_of(SOURCE), out=tmp_path, training=options(epochs=2), callbacks=[written])
    assert [told[1] for told in written.told if told[0] == "epoch"] == [1, 2]


def test_a_run_that_goes_on_tells_where(tmp_path):
    training = options(epochs=2, log_every=1)
    method = Interrupted(_supervised(), 4)
    written = Written()
    with pytest.raises(TrainingStopped):
        fit(method, dataset_of(SOURCE), out=tmp_path, training=training, callbacks=[written])
    assert written.told[-1] == ("end", False)
    again = Written()
    fit(
        Interrupted(_supervised(), 99),
        dataset_of(SOURCE),
        out=tmp_path,
        training=training,
        callbacks=[again],
        resume=True,
    )
    assert again.told[0] == ("start", tmp_path.name, 16, 4)
    steps = [told[1] for told in (*written.told, *again.told) if told[0] == "row" and told[2] == "train"]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_callback_that_raises_ends_the_training_and_all_hear_of_it(tmp_path):
    class Raises(Callback):
        def epoch(self, epoch, encoder):
            raise RuntimeError("no room")

    written = Written()
    with pytest.raises(RuntimeError, match="no room"):
        fit(_supervised(), dataset_of(SOURCE), out=tmp_path, training=options(), callbacks=[written, Raises()])
    assert written.told[-1] == ("end", False)


def test_a_logger_gets_settings_and_figures_by_phase(tmp_path):
    told = []

    class Told:
        def log_hyperparams(self, params):
            told.append(params)

        def log_metrics(self, metrics, step=None):
            told.append((step, metrics))

        def finalize(self, status):
            told.append(status)

    made = []

    def make(folder, step):
        made.append((folder, step))
        return Told()

    callbacks = [LoggerCallback(make), Written()]
    fit(_supervised(), dataset_of(SOURCE), out=tmp_path, training=options(epochs=2), callbacks=callbacks)
    settings, *figures, status = told
    assert made == [(tmp_path, 0)]
    assert settings["training/epochs"] == 2
    assert settings["method"] == "supervised"
    assert settings["options/label_smoothing"] == 0.0
    assert {"train/loss", "train/accuracy", "train/epoch"} <= figures[0][1].keys()
    assert figures[-1][0] == 6
    assert figures[-1][1].keys() == {"monitor/epoch", "monitor/mean_weight"}
    assert all(isinstance(value, float) for _, row in figures for value in row.values())
    assert status == "success"
