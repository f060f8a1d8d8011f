"""What `unconfound mend` makes of a run, and what it says to a mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import unconfound
from unconfound.cli import main
from unconfound.commands.evaluate import mending_advice
from unconfound.encoders import load_classifier, load_encoder, read_card
from unconfound.evaluation import Evaluation, Figure

TINY = ["--encoder", "convnet", "--width", "4", "--depth", "2", "--precision", "32", "--epochs", "3"]
COLOURS = {"cross": (200, 40, 40), "square": (40, 40, 200)}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two shapes, each on grounds of its own colour, their masks, and a run with and one without these."""
    folder, rng = tmp_path_factory.mktemp("mend"), np.random.default_rng(0)
    down, right = np.abs(np.mgrid[:16, :16] - 7.5)
    shapes = {"cross": np.minimum(down, right) < 2, "square": np.maximum(down, right) < 4}
    for name, shape in shapes.items():
        for kind in ("images", "masks"):
            (folder / kind / name).mkdir(parents=True)
        for number in range(20):
            pixels = (np.array(COLOURS[name]) + rng.integers(-30, 30, (16, 16, 3))).astype(np.uint8)
            pixels[shape] = rng.integers(100, 256, 3, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"images/{name}/{number}.png")
            Image.fromarray(shape.astype(np.uint8) * 255).save(folder / f"masks/{name}/{number}.png")
    pd.DataFrame({"a": range(20), "b": ["x", "y"] * 10}).to_csv(folder / "table.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCONFOUND_CACHE", str(folder / "cache"))
        data, masks = ["--data", str(folder / "images")], ["--masks", str(folder / "masks")]
        table = ["--data", str(folder / "table.csv"), "--label", "b", "--width", "4", "--epochs", "1"]
        assert main(["fit", "supervised", *data, *masks, *TINY, "--out", str(folder / "masked")]) == 0
        assert main(["fit", "random", *data, *TINY[:-2], "--out", str(folder / "bare")]) == 0
        assert main(["fit", "supervised", *table, "--out", str(folder / "table")]) == 0
    return folder


@pytest.fixture(autouse=True)
def own_cache(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCONFOUND_CACHE", str(work / "cache"))


def images_of(work: Path) -> torch.Tensor:
    files = sorted((work / "images").rglob("*.png"))
    return torch.stack([torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files])


@pytest.mark.parametrize("how", ["refit", "leace", "nap", "whitening"])
def test_a_mended_run_is_evaluated_like_any_other(work: Path, tmp_path: Path, how: str) -> None:
    mended = unconfound.mend(work / "masked", how=how, out=tmp_path / "run", exchanges=2, device="cpu")
    assert (mended.run, mended.way, list(mended.after)) == (tmp_path / "run", how, [how])
    (judged,) = unconfound.evaluate(mended.run, device="cpu", batch_size=16)
    for test, figures in mended.after[how].tests.items():
        for metric, figure in figures.items():
            assert judged.tests[test][metric].value == pytest.approx(figure.value, abs=0.13)
    classifier, encoder = load_classifier(mended.run), load_encoder(mended.run)
    assert classifier is not None
    embeddings = encoder(images_of(work))
    assert embeddings.shape[1] == classifier.in_features == read_card(mended.run).features
    plain = load_encoder(work / "masked")(images_of(work))
    assert torch.equal(plain, embeddings) == (how == "refit")
    assert read_card(mended.run).provenance["mended"] == {
        "way": how,
        "exchanges": 2,
        "seed": 0,
        "from": str(work / "masked"),
    }


def test_the_map_in_the_encoder_is_the_one_that_was_measured(work: Path, tmp_path: Path) -> None:
    """After LEACE, embeddings of exchanged images have the same mean whatever the background."""
    from unconfound.data.compose.swaps import in_memory
    from unconfound.mending.exchanged import embed_exchanged
    from unconfound.options.embedding import EmbeddingOptions

    run = unconfound.mend(work / "masked", how="leace", out=tmp_path / "run", exchanges=2, seed=5, device="cpu").run
    options = unconfound.DataOptions(data=str(work / "images"), masks=work / "masks")
    train = in_memory(unconfound.load(options).train)
    assert train is not None
    found = embed_exchanged(load_encoder(run), train, exchanges=2, seed=5, embedding=EmbeddingOptions(device="cpu"))
    rows, donors = found.others.flatten(0, 1), found.donors.flatten()
    spread = rows.std(0).max().item()
    torch.testing.assert_close(rows[donors == 0].mean(0), rows[donors == 1].mean(0), atol=1e-3 * spread, rtol=0)


def test_the_command_compares_all_ways_and_says_where_the_run_is(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mended"
    # A run without masks is mended where masks are given now.
    words = ["mend", str(work / "bare"), "--masks", str(work / "masks"), "--out", str(out), "--gap", "100"]
    assert main([*words, "--device", "cpu", "--directions", "2"]) == 0
    said = capsys.readouterr().out
    for row in ("before", "refit", "leace", "nap", "whitening"):
        assert f"\n{row} " in said
    assert " reaches a gap of 100 points: " in said
    assert said.endswith(f"The mended run is in {out}.\nNext: unconfound evaluate {out}\n")
    assert main(["evaluate", str(out), "--device", "cpu"]) == 0


def test_a_run_goes_beside_the_one_that_is_mended(work: Path) -> None:
    given = unconfound.mend(work / "masked", how="refit", exchanges=1, gap=0.0, device="cpu")
    assert given.run == work / "masked-mended"
    with pytest.raises(ValueError, match="masked-mended holds something already: choose another --out"):
        unconfound.mend(work / "masked")
    assert unconfound.mend(work / "masked", how="nap", exchanges=1, overwrite=True, device="cpu").way == "nap"


def test_data_in_memory_are_mended_on(work: Path, tmp_path: Path) -> None:
    dataset = unconfound.load(unconfound.DataOptions(data=str(work / "images"), masks=work / "masks"))
    run = unconfound.mend(work / "bare", dataset, how="refit", out=tmp_path / "run", exchanges=1, device="cpu").run
    assert (run / "config.toml").read_text() == (work / "bare/config.toml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bare"], "has no masks in memory, by which mend exchanges backgrounds: give --masks"),
        (["table"], "holds tables: mend exchanges the backgrounds of images"),
        (["nowhere"], "is no run folder: it holds no config.toml"),
        (["masked", "--out", "masked"], "is the run that is to be mended: choose another --out"),
        (["masked", "--out", "images"], "images holds something already: choose another --out"),
        (["masked", "--out", "images", "--overwrite"], "images holds files but no run: choose another --out"),
        (["masked", "--gap", "101"], "gap must be in [0, 100], got 101"),
        (["masked", "--how", "scrub"], "--how"),
        (["masked", "--exchanges", "0"], "exchanges must be at least 1, got 0"),
        (["masked", "--directions", "999"], "got 999"),
        (["masked", "--test-share", "0.5"], "is another split than the run's (0.2)"),
    ],
)
def test_a_mistake_is_one_line(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(work)
    before = sorted(work.iterdir())
    out = [] if "--out" in words else ["--out", "new"]
    assert main(["mend", *words, *out, "--device", "cpu"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unconfound: error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(work.iterdir()) == before


def test_an_evaluation_ends_with_the_command_that_mends() -> None:
    cells = {"full/full": Figure(0.5, 0.4, 0.6, 9)}

    def judged(gap: float, low: float, **others: object) -> Evaluation:
        return Evaluation("a", {}, background={"background_gap": Figure(gap, low, 1.0, 9)}, cells=cells, **others)

    runs = [Path("runs/a"), Path("runs/b")]
    advice = mending_advice(runs, [judged(0.2, 0.1), judged(0.3, 0.1)])
    assert advice == "To lower the gap of 30.0 points: unconfound mend runs/b"
    assert mending_advice(runs, [judged(0.2, 0.1), judged(0.3, -0.1)]).endswith("mend runs/a")
    assert not mending_advice(runs[:1], [judged(0.2, 0.0)])
    assert not mending_advice(runs[:1], [Evaluation("a", {}, background=judged(0.2, 0.1).background)])
    assert not mending_advice(runs[:1], [Evaluation("a", {})])
