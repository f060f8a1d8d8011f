from __future__ import annotations

import errno
import pickle
import resource
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.toy import same
from unconfound.training import checkpoint
from unconfound.training.checkpoint import Position, load_checkpoint, save_checkpoint

STATE = {
    "method": {"weight": torch.arange(2000.0)},
    "optimizers": {"train": {"state": {0: {"step": 3}}}},
    "average": None,
}
AT = Position(epoch=2, data_pass=1, update=5, step=77)


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint" / "state.pt"
    save_checkpoint(path, method="simclr", position=AT, state=STATE)
    return path


def _load(path):
    return load_checkpoint(path, method="simclr")


def test_a_checkpoint_makes_the_round_trip(path):
    position, state = _load(path)
    assert position == AT
    assert same(state, STATE)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"checkpoint .*state.pt is .*damaged.* start anew with --overwrite"):
        _load(path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300), prefix=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"l\xfc"])
)
def test_garbage_is_refused_in_one_line(tmp_path, content, prefix):
    path = tmp_path / "state.pt"
    path.write_bytes(prefix + content)
    with pytest.raises(ValueError, match="damaged") as raised:
        _load(path)
    assert "\n" not in str(raised.value)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_nothing(path, place, flip):
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(place * len(damaged))] ^= flip
    path.write_bytes(bytes(damaged))
    try:
        assert same(_load(path), (AT, STATE))
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    "content", [torch.zeros(3), [1, 2], {"method": "simclr"}, {"format": 2}, "simclr", None, {}, 5]
)
def test_something_else_in_a_sound_file_is_refused(path, content):
    torch.save(content, path)
    with pytest.raises(ValueError, match="truncated or damaged"):
        _load(path)


@pytest.mark.parametrize("wrapped", ["in a checkpoint", "plain pickle", "old torch format"])
def test_a_malicious_pickle_is_never_executed(path, tmp_path, wrapped):
    proof = tmp_path / "executed"
    content = {"format": 2, "method": "simclr", "position": {}, "state": {"method": Malicious(proof)}}
    if wrapped == "plain pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=wrapped == "in a checkpoint")
    with pytest.raises(ValueError, match="was not executed") as raised:
        _load(path)
    assert "\n" not in str(raised.value)
    assert not proof.exists()
    pickle.loads(pickle.dumps(Malicious(proof)))
    assert proof.exists()  # it would have


def test_a_file_that_is_not_there_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        _load(tmp_path / "state.pt")


def test_a_checkpoint_of_another_method_names_both(path):
    with pytest.raises(ValueError, match=r"is of method 'simclr', not 'supervised': name the same method, or start"):
        load_checkpoint(path, method="supervised")


@pytest.mark.parametrize("later", [{}, {"method": "simclr", "position": {"new": 2}, "state": None}])
def test_a_checkpoint_of_another_version_names_both(path, later):
    torch.save({"format": 3} | later, path)
    with pytest.raises(ValueError, match="has format 3, this version of unconfound reads 2"):
        _load(path)


def test_a_write_that_fails_midway_leaves_the_earlier_checkpoint(path, monkeypatch):
    def failing(content, file):
        Path(file).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", failing)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, method="simclr", position=Position(step=78), state=STATE)
    monkeypatch.undo()
    assert _load(path)[0] == AT
    assert [file.name for file in path.parent.iterdir()] == ["state.pt"]


def test_a_file_that_may_not_grow_is_an_error_of_the_system_and_leaves_the_earlier_checkpoint(path):
    # A full disk, as far as a process without privileges can have one: torch reports it as a RuntimeError.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*state.pt.*: is the disk full\?") as raised:
            save_checkpoint(path, method="simclr", position=Position(step=78), state=STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(raised.value)
    assert _load(path)[0] == AT
    assert [file.name for file in path.parent.iterdir()] == ["state.pt"]
