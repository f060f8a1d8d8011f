from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from training.toy import (
    Recorder,
    convnet,
    dataset_of,
    fabric_for,
    image_source,
    linear_encoder,
    metrics,
    options,
    row_source,
    same,
    weights,
)
from training.toy_methods import TwoPhase, TwoPhaseOptions
from unconfound.data import MemorySource
from unconfound.evaluation.embed import embed
from unconfound.functional.retrieval_metrics import retrieval_metrics
from unconfound.methods import Random, SimCLR, Supervised
from unconfound.training import TrainingOptions, fit
from unconfound.training.loop import Listener, train
from unconfound.training.saved_method import load_method
from unconfound.training.selection import check_selection

SOURCE = image_source(48)
GENERATOR = torch.Generator().manual_seed(0)
# Hard enough that no epoch retrieves everything: colours tell little, and there are eight classes.
VALIDATION = MemorySource(
    "held out",
    SOURCE.schema,
    torch.randint(0, 255, (60, 3, 8, 8), generator=GENERATOR, dtype=torch.uint8),
    torch.randint(0, 8, (60,), generator=GENERATOR),
)
JUMPY = {"optimizer": "sgd", "learning_rate": 0.3, "epochs": 5, "select_every": 1}


class Watching:
    """A listener that copies the method whenever the validation part was looked at."""

    def __init__(self, method):
        self.method, self.rows, self.states, self.kept = method, [], {}, []
        recorder = self.recorder = Recorder()
        self.listener = Listener(
            save=recorder.listener.save,
            row=self._row,
            alarm=recorder.listener.alarm,
            stop=lambda: False,
            kept=self.kept.append,
            bar=None,
        )

    def _row(self, row):
        if row.get("phase") == "validation":
            self.rows.append(row)
            self.states[row["epoch"]] = copy.deepcopy(self.method.state_dict())


def run(method, training, *, source=SOURCE, validation=VALIDATION, listener=None, **going_on):
    watching = Watching(method)
    finished = train(
        method,
        source,
        training,
        fabric=fabric_for(method, training),
        batch_size=training.batch_size,
        listener=listener or watching.listener,
        validation=validation,
        **going_on,
    )
    return finished, watching


def supervised(seed=0):
    torch.manual_seed(seed)
    return Supervised(convnet(SOURCE, seed=seed), SOURCE.schema)


def figures_of(method, source=VALIDATION):
    known = source.labels >= 0
    return retrieval_metrics(embed(method.encoder, source).features[known], source.labels[known])


@pytest.mark.parametrize("by", ["map_at_r", "precision_at_1"])
def test_the_method_of_the_best_epoch_is_kept_whole(by):
    method = supervised()
    finished, watching = run(method, options(**JUMPY, select_by=by))
    assert finished
    values = {row["epoch"]: row[by] for row in watching.rows}
    assert list(values) == [1, 2, 3, 4, 5]
    best = max(values, key=values.get)
    assert best < 5, "of no use here: the last epoch is the best"
    assert same(method.state_dict(), watching.states[best])
    (kept,) = watching.kept
    assert (kept.epoch, kept.epochs, kept.by, kept.validation) == (best, 5, by, "held out")
    assert kept.value == pytest.approx(values[best], abs=1e-6)
    assert figures_of(method) == pytest.approx(
        {key: watching.rows[best - 1][key] for key in figures_of(method)}, abs=1e-6
    )


def test_looking_changes_nothing_of_the_training():
    looked, plain = supervised(), supervised()
    # What a method has frozen stays as it is.
    for method in (looked, plain):
        next(module for module in method.encoder.modules() if isinstance(module, nn.BatchNorm2d)).train(False)
    _, watching = run(looked, options(**JUMPY))
    run(plain, options(**JUMPY | {"select_every": 0}))
    assert same(watching.states[5], plain.state_dict())


def test_modes_and_random_numbers_are_left_alone():
    method, modes = supervised(), []
    frozen = next(module for module in method.encoder.modules() if isinstance(module, nn.BatchNorm2d))

    class Drawing(MemorySource):
        def batches(self, order):
            torch.rand(3)  # as the seeds of workers are
            yield from super().batches(order)

    validation = Drawing("drawing", VALIDATION.schema, VALIDATION.inputs, VALIDATION.labels)
    watching = Watching(method)
    recorded = watching.listener.row

    def row(values):
        recorded(values)
        modes.append((method.training, frozen.training, torch.get_rng_state()))

    listener = replace(watching.listener, row=row)
    run(method, options(**JUMPY | {"epochs": 1, "log_every": 1}), validation=validation, listener=listener)
    (training, _, before), (_, mode, after) = modes[-2:]
    assert training
    assert mode
    assert torch.equal(before, after)


def test_every_few_epochs_and_the_last_are_looked_at_and_unlabelled_samples_are_not():
    labels = VALIDATION.labels.clone()
    labels[::3] = -1
    partly = replace(VALIDATION, labels=labels)
    method = supervised()
    _, watching = run(method, options(**JUMPY | {"select_every": 2}), validation=partly)
    assert [row["epoch"] for row in watching.rows] == [2, 4, 5]
    kept = watching.kept[0]
    assert figures_of(method, partly)["map_at_r"] == pytest.approx(kept.value, abs=1e-6)


def test_of_equally_good_epochs_the_first_is_kept():
    apart = image_source(12, classes=2)
    _, watching = run(supervised(), options(epochs=4, select_every=1, learning_rate=1e-9), validation=apart)
    assert len({row["map_at_r"] for row in watching.rows}) == 1
    assert watching.kept[0].epoch == 1


def test_the_moving_average_is_what_is_looked_at():
    method = supervised()
    _, watching = run(method, options(**JUMPY, ema_decay=0.8))
    values = {row["epoch"]: row["map_at_r"] for row in watching.rows}
    kept = watching.kept[0]
    assert kept.value == pytest.approx(max(values.values()), abs=1e-6)
    assert figures_of(method)["map_at_r"] == pytest.approx(kept.value, abs=1e-6)
    encoder = {key: value for key, value in watching.states[kept.epoch].items() if key.startswith("encoder")}
    assert not same(encoder, {key: value for key, value in method.state_dict().items() if key.startswith("encoder")})


def test_epochs_that_do_not_move_the_encoder_are_not_looked_at():
    method = TwoPhase(convnet(SOURCE), SOURCE.schema, TwoPhaseOptions(stop=2))
    _, watching = run(method, options(**JUMPY | {"select_every": 4}))
    assert [row["epoch"] for row in watching.rows] == [2]
    method = TwoPhase(convnet(SOURCE), SOURCE.schema)
    _, watching = run(method, options(**JUMPY))
    # After both passes of an epoch.
    assert [row["step"] for row in watching.rows] == [6, 12, 18, 24, 30]
    _, watching = run(Random(convnet(SOURCE), SOURCE.schema), options(**JUMPY))
    assert watching.rows == watching.kept == []


def test_the_precision_of_the_run_holds():
    method = supervised()
    _, watching = run(method, options(**JUMPY | {"precision": "bf16", "epochs": 1}))
    rows = embed(method.encoder, VALIDATION, precision="bf16").features
    expected = retrieval_metrics(rows, VALIDATION.labels)
    assert watching.rows[0]["map_at_r"] == pytest.approx(expected["map_at_r"], abs=1e-6)


def test_rows_in_float64_are_validated_too():
    rows = row_source(64)
    torch.manual_seed(0)
    method = Supervised(linear_encoder(), rows.schema).double()
    _, watching = run(method, options(epochs=2, select_every=1), source=rows, validation=rows)
    assert len(watching.rows) == 2


@pytest.mark.parametrize("stop_after", range(1, 10))
def test_a_stop_at_any_update_leaves_no_trace(stop_after):
    training = options(**JUMPY | {"epochs": 3})
    whole, part, other = supervised(), supervised(), supervised(1)
    _, watching = run(whole, training)
    recorder = Recorder(stop_after=stop_after)
    finished, _ = run(part, training, listener=recorder.listener)
    assert not finished
    position, state = recorder.saved[-1]
    finished, resumed = run(other, training, resumed=(position, state))
    assert finished
    assert same(weights(other), weights(whole))
    assert resumed.kept == watching.kept
    rows = [row for row in recorder.rows if row["phase"] == "validation"]
    assert rows + resumed.rows == watching.rows
    assert same(resumed.recorder.saved[-1][1], watching.recorder.saved[-1][1])


def test_a_run_folder_says_what_was_kept(tmp_path):
    method, data = supervised(), replace(dataset_of(SOURCE), validation=VALIDATION)
    fitted = fit(method, data, out=tmp_path, training=options(**JUMPY))
    values = [float(row["map_at_r"]) for row in metrics(tmp_path) if row["phase"] == "validation"]
    best = max(values)
    epoch = values.index(best) + 1
    told = f"kept the encoder of epoch {epoch} of 5: validation MAP@R {100 * best:.1f} %"
    assert (tmp_path / "log.txt").read_text().count(told) == 1
    kept = json.loads((tmp_path / "encoder.json").read_text())["provenance"]["kept"]
    assert kept["value"] == pytest.approx(best, abs=1e-6)
    assert kept | {"value": 0} == {
        **{"epoch": epoch, "epochs": 5, "by": "map_at_r", "value": 0, "validation": "held out"}
    }
    # The classifier is the one that was trained with this encoder, and so are all heads.
    assert same(dict(fitted.classifier.state_dict()), dict(method.linear_classifier().state_dict()))
    assert same(weights(load_method(tmp_path)), weights(method))
    again = supervised(1)
    fit(again, data, out=tmp_path, training=options(**JUMPY), resume=True)
    assert same(weights(again), weights(method))


def test_simclr_is_chosen_by_labels_that_it_does_not_learn_from(tmp_path):
    torch.manual_seed(0)
    data = replace(dataset_of(SOURCE), labelled=None, validation=VALIDATION)
    fit(SimCLR(convnet(SOURCE), SOURCE.schema), data, out=tmp_path, training=options(**JUMPY))
    assert "kept the encoder of epoch" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (None, "select_every chooses the encoder on a validation part, which toys does not have: give --validation"),
        (replace(VALIDATION, labels=None), "by retrieval of labels, which held out does not have"),
        (replace(VALIDATION, labels=torch.full((60,), -1)), "by retrieval of labels, which held out does not have"),
        (replace(VALIDATION, labels=torch.arange(60)), "but no two samples of held out share a class"),
    ],
)
def test_without_something_to_choose_by_nothing_is_begun(tmp_path, validation, message):
    data = replace(dataset_of(SOURCE), validation=validation)
    with pytest.raises(ValueError, match=message):
        fit(supervised(), data, out=tmp_path / "run", training=options(**JUMPY))
    assert not (tmp_path / "run").exists()
    check_selection(options(), validation, data="toys")


def test_options_are_checked():
    with pytest.raises(ValueError, match="select_every must be at least 0, got -1"):
        TrainingOptions(select_every=-1)
    with pytest.raises(ValueError, match="unknown select_by 'map': did you mean 'map_at_r'"):
        TrainingOptions(select_by="map")
