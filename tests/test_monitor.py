from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from evaluation.toy import confounded
from training.toy import options

import unconfound
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.encoders import build_encoder
from unconfound.evaluation.judging import Judging
from unconfound.methods import Supervised
from unconfound.monitor import Monitor
from unconfound.training import fit


def _encoder(dataset):
    torch.manual_seed(0)
    return build_encoder("convnet", dataset.train.schema, width=4, depth=2)


def test_its_figures_are_those_of_an_evaluation(tmp_path):
    dataset = confounded(60, 9)
    method = Supervised(_encoder(dataset), dataset.train.schema)
    fitted = fit(
        method,
        dataset,
        out=tmp_path,
        training=options(epochs=4),
        callbacks=[Monitor(dataset, every=2)],
    )
    rows = pd.read_csv(tmp_path / "metrics.csv")
    looks = rows[rows["phase"] == "monitor"]
    assert looks["epoch"].tolist() == [2, 4]
    (found,) = unconfound.evaluation.evaluate(fitted.encoder, dataset, name="a", judging=Judging(neighbours=5))[:1]
    accuracy = {test: found.tests[test]["knn"].value for test in ("original", "mixed-same", "mixed-rand")}
    last = looks.iloc[-1]
    assert last["knn"] == pytest.approx(accuracy["original"], abs=1e-4)
    assert last["knn_mixed_rand"] == pytest.approx(accuracy["mixed-rand"], abs=1e-4)
    assert last["knn_gap"] == pytest.approx(accuracy["mixed-same"] - accuracy["mixed-rand"], abs=2e-4)


def test_a_validation_part_goes_before_test_sets():
    dataset = confounded(60, 9)
    validation = replace(dataset.tests["mixed-rand"], labels=dataset.tests["mixed-rand"].labels.flip(0))
    monitor = Monitor(replace(dataset, validation=validation), every=1)
    assert monitor.shown["knn"].base is validation


def test_unlabelled_samples_neither_vote_nor_count():
    dataset = confounded(60, 9)
    labels = dataset.train.labels.clone()
    labels[::2] = -1
    train = replace(dataset.train, labels=labels)
    monitor = Monitor(replace(dataset, train=train, labelled=train), every=1)
    assert len(monitor.train) == 30
    assert bool((monitor.train.labels >= 0).all())


def test_what_cannot_be_monitored_is_refused_with_what_to_do():
    dataset = confounded(30, 9)
    with pytest.raises(ValueError, match=r"fewer than 5 labelled training samples.*leave --monitor-every out"):
        Monitor(replace(dataset, labelled=None), every=1)
    with pytest.raises(ValueError, match=r"give --validation-share 0\.1, or leave --monitor-every out"):
        Monitor(replace(dataset, tests={}), every=1)


def test_a_table_is_monitored_without_a_gap():
    rows = MemorySource("rows", Schema("tables", (2,), ("a", "b")), torch.randn(20, 2), torch.arange(20) % 2)
    dataset = Dataset(train=rows, labelled=rows, tests={"test": rows})
    encoder = build_encoder("mlp", rows.schema, width=4, depth=1)
    monitor = Monitor(dataset, every=3)
    assert monitor.epoch(2, encoder) == {}
    assert monitor.epoch(3, encoder).keys() == {"knn"}


def test_the_command_monitors_and_can_be_resumed_without(tmp_path):
    common = {"data": "demo", "encoder": "convnet", "width": 2, "depth": 2, "epochs": 1, "train_samples": 256}
    run = unconfound.fit("supervised", out=tmp_path / "run", monitor_every=1, **common).run
    rows = pd.read_csv(run / "metrics.csv")
    assert {"knn", "knn_gap"} <= set(rows.columns)
    # It is no part of what the run is.
    unconfound.fit("supervised", out=tmp_path / "run", resume=True, **common)
    assert "monitor_every" not in json.dumps((run / "config.toml").read_text())
