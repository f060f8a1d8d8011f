"""DACL on texts and series, from the file to the embedding of new data."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from training.toy import metrics, options

from unconfound.data.sequences.recordings import recordings
from unconfound.data.sequences.series import series
from unconfound.data.sequences.texts import texts
from unconfound.encoders import build_encoder, load_encoder, read_card
from unconfound.evaluation import embed
from unconfound.methods import DACL
from unconfound.methods.dacl import DACLOptions
from unconfound.training import fit


def _texts(folder, **arguments):
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(40)]
    lines = [" ".join(rng.choice(words, rng.integers(1, 30))) for _ in range(80)]
    (folder / "lines.txt").write_text("\n".join(lines))
    return texts(folder / "lines.txt", test_share=0, **arguments)


def _series(folder, **_):
    lengths = np.random.default_rng(0).integers(1, 30, 80)
    values = np.random.default_rng(1).normal(size=(lengths.sum(), 4)) + np.repeat(np.arange(80) % 5, lengths)[:, None]
    np.savez(folder / "a.npz", series=values, lengths=lengths)
    return series(folder / "a.npz", test_share=0)


def _recordings(folder, **arguments):
    for number in range(32):
        sound = np.random.default_rng(number).normal(size=300 + 60 * number, scale=0.01 * (number + 1))
        wavfile.write(folder / f"{number:02}.wav", 8000, sound.astype(np.float32))
    return recordings(folder, test_share=0, **arguments)


@pytest.mark.parametrize("read", [_texts, _series, _recordings])
@pytest.mark.parametrize("name", ["transformer", "gru"])
def test_it_learns_and_embeds_new_data_alike(tmp_path, read, name):
    (tmp_path / "data").mkdir()
    dataset = read(tmp_path / "data")
    mean, deviation = dataset.train.statistics()
    torch.manual_seed(0)
    encoder = build_encoder(name, dataset.train.schema, mean=mean, deviation=deviation, width=16, depth=1)
    method = DACL(encoder, dataset.train.schema, DACLOptions(temperature=0.2))
    training = options(epochs=12, batch_size=32, learning_rate=0.01, log_every=1)
    fitted = fit(method, dataset, out=tmp_path / "run", training=training)
    losses = [float(row["loss"]) for row in metrics(fitted.run)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.1

    restore = json.loads(json.dumps(read_card(fitted.run).restore))
    new = read(tmp_path / "data", **({"encoding": restore["encoding"]} if "encoding" in restore else {}))
    expected = embed(fitted.encoder, dataset.train, batch_size=50).features
    # In other company a sequence is padded to another length.
    found = embed(load_encoder(fitted.run), new.train, batch_size=7).features
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
