from __future__ import annotations

import shutil

import pytest
import torch
from methods.toy import IMAGES, convnet, image_batch, image_source

from unconfound.data import Dataset
from unconfound.methods import ICLMSR, SimCLR
from unconfound.methods.simclr import SimCLROptions
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.training import TrainingOptions, fit
from unconfound.training.saved_method import load_method

TRAINING = TrainingOptions(epochs=1, batch_size=16, device="cpu")


def _fitted(method, out):
    fit(method, Dataset(image_source(32), {}), out=out, training=TRAINING)
    return method


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "msr"
    options = ICLMSROptions(strata=3, host="moco", host_options=("projection_features=5", "queue=16"))
    torch.manual_seed(0)
    return _fitted(ICLMSR(convnet(), IMAGES, options), out), out


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained[1], tmp_path / "msr")


def test_the_method_is_back_as_it_was(trained):
    method, out = trained
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    again = load_method(out)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert type(again) is ICLMSR
    assert again.options == method.options
    assert not again.training
    saved, loaded = method.state_dict(), again.state_dict()
    assert saved.keys() == loaded.keys()
    for name, value in saved.items():
        assert torch.equal(value, loaded[name]), name
    images = image_batch().inputs / 255
    assert torch.equal(method.eval().encoder(images), again.encoder(images))


def test_any_method_is_rebuilt(tmp_path):
    method = _fitted(SimCLR(convnet(), IMAGES, SimCLROptions(temperature=0.2)), tmp_path / "run")
    again = load_method(str(tmp_path / "run"))
    assert again.options == method.options
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize(
    ("removed", "said"),
    [("checkpoint", "no checkpoint any more"), ("config.toml", "no run"), ("encoder.json", "resume")],
)
def test_what_is_not_there_is_named(run, removed, said):
    path = run / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=said) as caught:
        load_method(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('method = "icl-msr"', 'method = "mine"', "no method of ours"),
        ('method = "icl-msr"', 'method = "simclr"', "cannot be rebuilt"),
        ("strata = 3", "strata = 4", "does not fit its config.toml"),
        ("strata = 3", "strata = 0", "at least 1"),
        ("strata = 3", "layers = 3", "cannot be rebuilt"),
        ('host = "moco"', 'host = "noco"', "unknown host"),
        ("strata = 3", "strata = ", "cannot be read"),
        ("method =", "kind =", "cannot be read"),
    ],
)
def test_what_cannot_be_rebuilt_is_said_in_one_line(run, before, after, said):
    text = (run / "config.toml").read_text()
    assert before in text
    (run / "config.toml").write_text(text.replace(before, after, 1))
    with pytest.raises(ValueError, match=said) as caught:
        load_method(run)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_refused(run):
    (run / "checkpoint" / "state.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_method(run)
