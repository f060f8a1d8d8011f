from __future__ import annotations

from unconfound.data import Schema
from unconfound.encoders import build_encoder, save_encoder
from unconfound.report.facts import run_facts

ROWS = Schema("tables", (2,), ("a", "b"))


def _facts(folder, **provenance):
    folder.mkdir()
    save_encoder(folder, build_encoder("mlp", ROWS, width=3), schema=ROWS, provenance=provenance)
    return run_facts(folder)


def test_a_page_says_how_an_encoder_was_mended(tmp_path):
    mended = {"way": "leace", "exchanges": 2, "seed": 0, "from": "runs/a"}
    assert _facts(tmp_path / "mended", method="simclr", mended=mended) == {
        "method": "simclr",
        "mended": "leace of runs/a, exchanges 2, seed 0",
        "encoder": "mlp on rows of 2",
        "epochs": "none",
    }
    assert "mended" not in _facts(tmp_path / "trained", method="simclr")
