from __future__ import annotations

import sys

import pytest

from training.toy import convnet, dataset_of, image_source, options
from training.toy_methods import Interrupted
from unconfound.methods import Supervised
from unconfound.training import TrainingStopped, fit
from unconfound.training.trackers import tracker_callback

SOURCE = image_source(48)


def _train(folder, name, *, stop=99, resume=False):
    method = Interrupted(Supervised(convnet(SOURCE), SOURCE.schema), stop)
    training = options(epochs=2, log_every=1)
    return fit(
        method, dataset_of(SOURCE), out=folder, training=training, callbacks=[tracker_callback(name)], resume=resume
    )


def _stop_and_go_on(folder, name):
    with pytest.raises(TrainingStopped):
        _train(folder, name, stop=4)
    return _train(folder, name, resume=True).run


def test_tensorboard_has_each_step_once_of_a_run_that_was_stopped(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = _stop_and_go_on(tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    losses = events.Scalars("train/loss")
    assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6]
    assert all(event.value > 0 for event in losses)


def test_mlflow_goes_on_with_the_run_that_was_stopped(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run = _stop_and_go_on(tmp_path / "run", "mlflow")
    client = mlflow.MlflowClient()
    found = client.get_run((run / "mlflow-run.txt").read_text().strip())
    assert [each.step for each in client.get_metric_history(found.info.run_id, "train/loss")] == [1, 2, 3, 4, 5, 6]
    assert found.data.params["training/epochs"] == "2"
    assert found.info.status == "FINISHED"


def test_wandb_works_offline_and_keeps_its_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = _stop_and_go_on(tmp_path / "run", "wandb")
    identity = (run / "wandb-run.txt").read_text().strip()
    folders = [each.name for each in (run / "wandb").iterdir() if each.name.startswith("offline-run")]
    # Two processes of one run, which W&B joins where they are synchronized.
    assert folders
    assert all(name.endswith(identity) for name in folders)


def test_trackio_keeps_its_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio")
    run = _stop_and_go_on(tmp_path / "run", "trackio")
    name = f"run-{(run / 'trackio-run.txt').read_text().strip()}"
    found = {each.name: each for each in trackio.Api().runs("unconfound")}
    assert name in found


def test_a_tracker_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r"wandb is not installed: .*unconfound\[wandb\]"):
        tracker_callback("wandb")
