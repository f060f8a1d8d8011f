"""What `unconfound mend` makes of a run, and what it says to a mistake."""

from __future__ import annotations

import shlex
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch
from PIL import Image

import unconfound
from unconfound.cli import main
from unconfound.data.compose.swaps import in_memory
from unconfound.data.core.subset import Subset
from unconfound.encoders import load_classifier, load_encoder, read_card
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.mending.mend_encoder import Mended

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
    told = np.where(rng.random(200) < 0.95, np.arange(200) % 2, 1 - np.arange(200) % 2)
    rows = {"a": rng.normal(np.arange(200) % 2, 1), "b": ["x", "y"] * 100, "site": np.array(["here", "there"])[told]}
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCONFOUND_CACHE", str(folder / "cache"))
        data, masks = ["--data", str(folder / "images")], ["--masks", str(folder / "masks")]
        table = [
            "--data",
            str(folder / "table.csv"),
            "--label",
            "b",
            "--width",
            "8",
            "--epochs",
            "30",
            "--learning-rate",
            "0.02",
        ]
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


@pytest.mark.parametrize("how", ["refit", "leace", "whitening", "fine-tune"])
def test_a_mended_run_is_evaluated_like_any_other(work: Path, tmp_path: Path, how: str) -> None:
    tuning = {"epochs": 2, "learning_rate": 0.002} if how == "fine-tune" else {}
    mended = unconfound.mend(work / "masked", how=how, out=tmp_path / "run", exchanges=2, device="cpu", **tuning)
    assert (mended.run, mended.way, mended.rebuilt) == (tmp_path / "run", how, True)
    assert list(mended.after) == (["refit", "fine-tune"] if how == "fine-tune" else [how])
    (judged,) = unconfound.evaluate(mended.run, device="cpu", batch_size=16)
    for test, figures in mended.after[how].tests.items():
        for metric, figure in figures.items():
            if metric == "classifier":  # probes are fitted on all training images there
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
        **tuning,
    }


def test_fine_tune_goes_on_as_the_run_was_trained(work: Path, tmp_path: Path) -> None:
    """By its optimizer, rate and batches, but for no batch that is larger than the samples."""
    training = {"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 0.5, "batch_size": 4096}
    run = tmp_path / "run"
    shutil.copytree(work / "masked", run)
    config = tomllib.loads((run / "config.toml").read_text())
    config["training"] |= training
    (run / "config.toml").write_text(tomli_w.dumps(config))
    mended = unconfound.mend(run, how="fine-tune", out=tmp_path / "mended", epochs=1, exchanges=1, device="cpu")
    kept = tomllib.loads((mended.run / "config.toml").read_text())["training"]
    samples = read_card(mended.run).provenance["data"]["samples"]
    assert {name: kept[name] for name in training} == training | {"batch_size": samples}
    assert kept["epochs"] == 1
    other = unconfound.mend(
        run, how="fine-tune", out=tmp_path / "b", epochs=1, learning_rate=0.03, exchanges=1, device="cpu"
    )
    assert tomllib.loads((other.run / "config.toml").read_text())["training"]["learning_rate"] == 0.03


def test_a_mended_run_is_exported_and_indexed(work: Path, tmp_path: Path) -> None:
    run = unconfound.mend(work / "masked", how="leace", out=tmp_path / "run", exchanges=1, device="cpu").run
    images = images_of(work)[:4]
    unconfound.export(run, out=tmp_path / "encoder.pt2")
    answers = torch.export.load(tmp_path / "encoder.pt2").module()(images)
    encoder, classifier = load_encoder(run), load_classifier(run)
    assert classifier is not None
    torch.testing.assert_close(answers["embeddings"], encoder(images), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answers["logits"], classifier(encoder(images)), atol=1e-4, rtol=1e-4)
    index = unconfound.index(run, work / "images", out=tmp_path / "index", device="cpu")
    assert (len(index), index.manifest.features) == (40, encoder.features)
    assert unconfound.search(index, encoder(images).detach(), neighbours=1).similarities.min() > 1 - 1e-5


def test_the_map_in_the_encoder_is_the_one_that_was_measured(work: Path, tmp_path: Path) -> None:
    """After LEACE, embeddings of exchanged images have the same mean whatever the background."""
    from unconfound.mending.exchanged import embed_exchanged
    from unconfound.mending.held_out import divided
    from unconfound.options.embedding import EmbeddingOptions

    run = unconfound.mend(work / "masked", how="leace", out=tmp_path / "run", exchanges=2, seed=5, device="cpu").run
    train, cpu = divided(loaded(work), seed=5).fitted, EmbeddingOptions(device="cpu")
    found = embed_exchanged(load_encoder(run), train, exchanges=2, seed=5, embedding=cpu)
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
    assert " reaches a gap of 100 points.\n" in said
    assert said.endswith(f"The mended run is in {out}.\nNext: unconfound evaluate {out}\n")
    assert main(["evaluate", str(out), "--device", "cpu"]) == 0


def test_an_untrained_encoder_has_the_weights_of_the_seed(work: Path, tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> torch.Tensor:
        options = {"masks": work / "masks", "exchanges": 1, "device": "cpu", "seed": seed}
        run = unconfound.mend("convnet", work / "images", how="refit", out=tmp_path / name, **options).run
        return torch.cat([each.flatten() for each in load_encoder(run).parameters()])

    first = weights("a", 0)
    torch.manual_seed(5)
    assert torch.equal(weights("b", 0), first)
    assert not torch.equal(weights("c", 1), first)


def test_what_follows_can_be_typed_as_it_is_said(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The folder has blanks, and an encoder that is named needs its data again. No way is said to reach the gap.
    monkeypatch.setattr("unconfound.mending.mend.Comparison.cheapest", lambda *_: ("refit", False))
    out = work / "a folder/named"
    data = ["--data", str(work / "images"), "--masks", str(work / "masks")]
    words = ["mend", "convnet", *data, "--how=refit", "--exchanges", "1", "--device", "cpu"]
    assert main([*words, "--out", str(out)]) == 0
    said, noted = capsys.readouterr()
    assert "convnet is untrained: --pretrained or --weights FILE gives it trained weights" in noted
    assert f"Next: unconfound evaluate '{out}'\n" in said
    assert " % on random backgrounds, before " in said
    assert "\nOf the images as they are it recognises " in said
    assert "\nrefit" in said
    assert "probe      -" not in said  # a probe that was not fitted has no row
    hint = shlex.split(next(line for line in said.splitlines() if line.startswith("To train on: ")))[3:]
    kept = [word for word in words if word != "--how=refit"]
    assert hint == ["unconfound", *kept, "--how", "fine-tune", "--out", f"{out}-fine-tuned"]


def test_a_mended_run_that_recognises_less_is_said_to_be_no_help(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def accuracies(original: float, random: float) -> Evaluation:
        shares = {"original": original, "mixed-same": random, "mixed-rand": random}
        tests = {name: {"classifier": Figure(value, value, value, 10)} for name, value in shares.items()}
        gap = Figure(0.0, -0.1, 0.1, 10)
        return Evaluation("run", tests, background={"background_gap_classifier": gap})

    for after, no_help in ((accuracies(0.6, 0.5), True), (accuracies(0.6, 0.8), False)):
        mended = Mended(tmp_path / "run", "refit", True, accuracies(0.9, 0.7), {"refit": after})
        monkeypatch.setattr("unconfound.commands.mend.mend_given", lambda given, mended=mended: mended)
        assert main(["mend", str(work / "masked"), "--out", str(tmp_path / "new")]) == 0
        said = capsys.readouterr().out
        assert "Of the images as they are it recognises 60.0 %, before 90.0 %." in said
        assert (f"rather keep {work / 'masked'} as it is." in said) is no_help


def test_masks_are_estimated_where_there_are_none(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mended"
    words = ["mend", str(work / "bare"), "--masks", "estimate", "--how", "refit", "--out", str(out), "--device", "cpu"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "all masks are estimated from the images" in said.err
    assert f"The mended run is in {out}." in said.out
    assert main(["evaluate", str(out), "--device", "cpu"]) == 0
    assert "all masks are estimated from the images" in capsys.readouterr().err


def test_a_run_goes_beside_the_one_that_is_mended(work: Path) -> None:
    given = unconfound.mend(work / "masked", how="refit", exchanges=1, gap=0.0, device="cpu")
    assert given.run == work / "masked-mended"
    with pytest.raises(ValueError, match="masked-mended holds something already: choose another --out"):
        unconfound.mend(work / "masked")
    assert unconfound.mend(work / "masked", how="nap", exchanges=1, overwrite=True, device="cpu").way == "nap"


@pytest.mark.parametrize("how", ["all", "fine-tune"])
def test_a_run_of_a_table_is_mended(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    out = tmp_path / "mended"
    words = ["mend", str(work / "table"), "--nuisance", "site", "--how", how, "--gap", "100", "--out", str(out)]
    assert main([*words, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "On held-out training samples " in said
    assert " % with the column site of random classes, before " in said
    assert "background" not in said
    # The mended run remembers the nuisance.
    (judged,) = unconfound.evaluate(out, device="cpu")
    (before,) = unconfound.evaluate(work / "table", nuisance=("site",), out=tmp_path / "before", device="cpu")
    gaps = [each.background["background_gap_classifier"].value for each in (before, judged)]
    assert gaps[0] > 0.15
    assert gaps[1] < gaps[0]
    assert before.advice[0].endswith(f"unconfound mend {work / 'table'} --nuisance COLUMN")


def test_data_in_memory_are_mended_on(work: Path, tmp_path: Path) -> None:
    dataset = loaded(work)
    run = unconfound.mend(work / "bare", dataset, how="refit", out=tmp_path / "run", exchanges=1, device="cpu").run
    assert (run / "config.toml").read_text() == (work / "bare/config.toml").read_text()


def loaded(work: Path) -> unconfound.data.Dataset:
    return unconfound.load(unconfound.DataOptions(data=str(work / "images"), masks=work / "masks"))


def test_an_encoder_that_is_named_becomes_a_run(work: Path, tmp_path: Path) -> None:
    data = {"masks": work / "masks", "data": work / "images"}
    named = unconfound.mend("resnet18", how="leace", out=tmp_path / "named", exchanges=1, device="cpu", **data)
    assert named.rebuilt
    assert load_encoder(named.run)(images_of(work)[:2]).shape == (2, 512)
    assert unconfound.evaluate(named.run, device="cpu")[0].background


def test_of_a_function_and_of_an_onnx_file_a_remedy_is_kept(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder, images = load_encoder(work / "masked"), images_of(work)
    kept = unconfound.mend(encoder, loaded(work), how="leace", out=tmp_path / "a", device="cpu")
    assert (kept.rebuilt, kept.run) == (False, tmp_path / "a")
    remedy = unconfound.load_remedy(tmp_path / "a")
    with torch.no_grad():
        assert torch.equal(remedy.logits(encoder(images)), remedy.classifier(remedy.of(encoder(images))))
    unconfound.export(work / "masked", out=tmp_path / "encoder.onnx")
    capsys.readouterr()
    data = ["--data", str(work / "images"), "--masks", str(work / "masks"), "--device", "cpu", "--how", "leace"]
    assert main(["mend", str(tmp_path / "encoder.onnx"), *data, "--out", str(tmp_path / "b")]) == 0
    assert "unconfound.load_remedy(" in capsys.readouterr().out
    of_file = unconfound.load_remedy(tmp_path / "b")
    with torch.no_grad():
        torch.testing.assert_close(of_file.of(encoder(images)), remedy.of(encoder(images)), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bare"], "has no masks in memory, by which mend exchanges backgrounds: give --masks"),
        (["table"], "holds tables without a nuisance to exchange: name columns with --nuisance"),
        (["nowhere"], "nowhere is no run folder, which says what it was trained on: give a run folder, or --data"),
        (["images"], "images is no run folder: it holds no config.toml"),
        (["nowhere", "--data", "images", "--masks", "masks"], "unknown encoder 'nowhere'"),
        (["a.safetensors", "--data", "images"], "a.safetensors holds weights and no network"),
        (["a.onnx", "--data", "images", "--masks", "masks"], "there is no file a.onnx"),
        (["a.onnx", "--data", "images", "--how", "fine-tune"], "a.onnx cannot be trained"),
        (["masked", "--pretrained"], "masked is a run, which has weights"),
        (["resnet18", "--data", "images", "--pretrained", "--weights", "a"], "are two ways to start"),
        (["masked", "--epochs", "0"], "epochs must be at least 1, got 0"),
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


def repainted(folder: Path, *, to: str) -> None:
    """Write a mask beside each image of a folder: white, black, or white in the middle of grey images."""
    for file in sorted((folder / "images").rglob("*.png")):
        mask = np.full((16, 16), 255 if to == "full" else 0, np.uint8)
        if to == "grey":
            mask[4:12, 4:12] = 255
            Image.open(file).convert("L").save(file)
        target = folder / "masks" / file.relative_to(folder / "images")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)


@pytest.mark.parametrize(
    ("to", "message"),
    [("full", "are empty and all others full"), ("empty", "has any foreground: all are black"), ("grey", "")],
)
def test_masks_that_show_nothing_or_everything_are_refused_and_grey_images_are_not(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, message: str
) -> None:
    shutil.copytree(work / "images", tmp_path / "images")
    repainted(tmp_path, to=to)
    words = ["mend", str(work / "bare"), "--data", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]
    assert main([*words, "--how", "refit", "--out", str(tmp_path / "out"), "--device", "cpu"]) == (2 if message else 0)
    assert message in capsys.readouterr().err


def test_one_image_of_a_class_is_fitted_on_and_two_classes_are_needed(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = loaded(work)
    train = in_memory(dataset.labelled)
    assert train is not None
    kept = torch.cat([(train.labels == 0).nonzero().flatten(), (train.labels == 1).nonzero().flatten()[:1]])
    one = Subset(train, kept)
    mended = unconfound.mend(
        work / "masked", replace(dataset, train=one, labelled=one), how="refit", out=tmp_path / "a", device="cpu"
    )
    assert load_classifier(mended.run).out_features == 2
    with pytest.raises(ValueError, match="are of one class: mend needs two or more"):
        unconfound.mend(
            work / "masked",
            replace(dataset, train=Subset(train, kept[:-1]), labelled=Subset(train, kept[:-1])),
            out=tmp_path / "b",
            device="cpu",
        )
    assert not (tmp_path / "b").exists()
