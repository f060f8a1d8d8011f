from __future__ import annotations

import json
import tomllib

import pytest

from unconfound.files import write_text
from unconfound.training import run_folder
from unconfound.training.run_folder import Metrics, RunFolder

CONFIG = {"method": "simclr", "training": {"epochs": 3, "learning_rate": 0.1}, "data": {"name": "demo"}}


def _started(path, **how):
    folder = RunFolder(path, **how)
    folder.check()
    folder.start(CONFIG)
    return folder


def test_a_run_says_what_was_asked_for_and_where_it_ran(tmp_path):
    folder = _started(tmp_path / "run")
    assert tomllib.loads((folder.path / "config.toml").read_text()) == CONFIG
    found = json.loads((folder.path / "environment.json").read_text())
    assert set(found) == {"command", "python", "packages", "system", "processor", "cores", "gpus", "git"}
    assert set(found["packages"]) >= {"unconfound", "torch", "numpy"}
    assert found["cores"] >= 1
    assert found["command"].startswith("unconfound")
    folder.log("one")
    folder.log("zwei ö")
    lines = (folder.path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["one", "zwei ö"]


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_an_empty_or_new_folder_will_do(tmp_path, how):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        assert (_started(tmp_path / name, **how).path / "config.toml").is_file()


def test_another_run_is_refused(tmp_path):
    _started(tmp_path / "run")
    with pytest.raises(ValueError, match="holds another run: choose another --out, or give --resume or --overwrite"):
        RunFolder(tmp_path / "run").check()


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("name", ["thesis.txt", "config.toml", "environment.json"])
def test_files_of_somebody_else_are_refused_and_stay(tmp_path, how, name):
    # Many a project has a config.toml of its own.
    path = tmp_path / "work"
    path.mkdir()
    (path / name).write_text('title = "mine"\n')
    with pytest.raises(ValueError, match="holds files but no run: choose another --out"):
        RunFolder(path, **how).check()
    assert [file.name for file in path.iterdir()] == [name]


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_file_is_refused(tmp_path, how):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file: --out takes a folder"):
        RunFolder(tmp_path / "file", **how).check()


def test_resume_and_overwrite_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="give one of them"):
        RunFolder(tmp_path, resume=True, overwrite=True).check()


def test_overwriting_removes_the_earlier_run_only_once_it_starts(tmp_path):
    earlier = _started(tmp_path / "run")
    earlier.log("precious")
    later = RunFolder(tmp_path / "run", overwrite=True)
    later.check()
    assert (earlier.path / "log.txt").is_file()
    later.start(CONFIG | {"method": "supervised"})
    assert sorted(file.name for file in later.path.iterdir()) == ["config.toml", "environment.json"]


def test_the_order_of_options_does_not_matter(tmp_path):
    _started(tmp_path / "run")
    RunFolder(tmp_path / "run", resume=True).start(dict(reversed(CONFIG.items())))


def test_resuming_with_other_options_names_what_changed(tmp_path):
    _started(tmp_path / "run")
    folder = RunFolder(tmp_path / "run", resume=True)
    folder.check()
    with pytest.raises(ValueError, match=r"other options \(epochs = 3; epochs = 5\): resume with the same ones, or"):
        folder.start(CONFIG | {"training": {"epochs": 5, "learning_rate": 0.1}})
    assert tomllib.loads((folder.path / "config.toml").read_text()) == CONFIG
    _started(tmp_path / "run", resume=True)


def test_what_a_kill_left_half_written_is_removed_when_the_run_goes_on(tmp_path):
    folder = _started(tmp_path / "run")
    for parent in (folder.path, folder.checkpoint.parent):
        left = parent / ".state.pt.a1b2c3.partial"
        left.mkdir(parents=True)
        (left / "state.pt").write_text("half")
    _started(tmp_path / "run", resume=True)
    assert not list(folder.path.rglob("*.partial"))


def test_a_run_killed_before_its_first_file_was_whole_can_be_started_again(tmp_path):
    left = tmp_path / "run" / ".config.toml.a1b2c3.partial"
    left.mkdir(parents=True)
    folder = _started(tmp_path / "run", resume=True)
    assert sorted(file.name for file in folder.path.iterdir()) == ["config.toml", "environment.json"]


def _row(step, **more):
    return {"step": step, "phase": "train", "loss": 1 / step} | more


def test_metrics_are_a_table_that_grows_by_rows_and_columns(tmp_path):
    metrics = Metrics(tmp_path / "metrics.csv")
    metrics.add(_row(1))
    metrics.add(_row(2, accuracy=0.5))
    metrics.add(_row(4))
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "step,phase,loss,accuracy",
        "1,train,1.0,",
        "2,train,0.5,0.5",
        "4,train,0.25,",
    ]


def test_rows_after_the_checkpoint_are_dropped_and_written_again(tmp_path):
    path = tmp_path / "metrics.csv"
    whole = Metrics(path)
    for step in (2, 4, 5, 8):
        whole.add(_row(step))
    before = path.read_text()
    again = Metrics(path, step=5)
    assert path.read_text().splitlines() == before.splitlines()[:4]
    again.add(_row(8))
    assert path.read_text() == before
    Metrics(path)  # a run that starts anew
    assert path.read_text() == ""


@pytest.mark.parametrize("cut", range(1, 15))
def test_a_half_written_last_line_is_dropped(tmp_path, cut):
    path = tmp_path / "metrics.csv"
    metrics = Metrics(path)
    metrics.add({"step": 10, "phase": "train", "loss": 1.25})
    metrics.add({"step": 20, "phase": "train", "loss": 1.75})
    whole = path.read_text()
    path.write_text(whole[:-cut])
    # Even where the number itself was cut: 1.7 is as good a number as 1.75.
    again = Metrics(path, step=1000)
    again.add({"step": 20, "phase": "train", "loss": 1.75})
    assert path.read_text() == whole


@pytest.mark.parametrize("content", ["", "\n", "step", "garbage\nmore\n", "\x00\x01\n"])
def test_metrics_that_are_none_are_started_anew(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.write_text(content)
    Metrics(path, step=5).add(_row(6))
    assert path.read_text().splitlines()[0] == "step,phase,loss"
    assert len(path.read_text().splitlines()) == 2


def test_a_run_that_is_killed_while_its_first_files_are_written_can_be_started_again(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")

    def killed(path, text):
        if path.name == "config.toml":
            raise KeyboardInterrupt
        write_text(path, text)

    monkeypatch.setattr(run_folder, "write_text", killed)
    for _ in range(2):  # and once more, on the way to going on
        folder.check()
        with pytest.raises(KeyboardInterrupt):
            folder.start({"method": "simclr"})
    monkeypatch.undo()
    again = RunFolder(tmp_path / "run", resume=True)
    again.check()
    again.start({"method": "simclr"})
    again.check()
    assert sorted(file.name for file in again.path.iterdir()) == ["config.toml", "environment.json"]


def test_nothing_else_in_a_half_started_folder_is_taken_for_a_run(tmp_path):
    (tmp_path / ".starting").touch()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match="holds files but no run"):
        RunFolder(tmp_path, resume=True).check()
