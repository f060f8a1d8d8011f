from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import unconfound
from unconfound.cli import main
from unconfound.evaluation.embed import embed
from unconfound.evaluation.evaluate import sources_of


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of images of two shapes, with masks, in the working folder."""
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    for label, shape in enumerate((np.s_[4:12, 6:10], np.s_[6:10, 4:12])):
        for number in range(15):
            image = rng.integers(0, 200, (16, 16, 3), dtype=np.uint8)
            image[shape] = 255
            mask = np.zeros((16, 16), np.uint8)
            mask[shape] = 255
            for folder, values in (("images", image), ("masks", mask)):
                path = tmp_path / folder / f"class {label}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(path)
    return tmp_path


def pooled(images):
    return torch.nn.functional.avg_pool2d(images.float(), 4).flatten(1)


DATA = ["--data", "images", "--masks", "masks", "--test-share", "0.4"]
OPTIONS = {"data": "images", "masks": "masks", "test_share": 0.4}


def test_embeddings_of_written_images_give_the_figures_of_the_encoder_itself(pictures, capsys):
    assert main(["audit", "--write-images", "written", *DATA]) == 0
    assert (
        "unconfound audit embeddings.npy --data images --masks masks --test-share 0.4 --names written/images.txt"
        in (capsys.readouterr().out)
    )
    files = (pictures / "written/images.txt").read_text().splitlines()
    assert len(files) == 5 * 12 + 3 * 18
    # Another program, that knows the files alone.
    rows = [np.moveaxis(np.asarray(Image.open(pictures / "written" / file)), 2, 0) for file in files]
    np.save("embeddings.npy", pooled(torch.from_numpy(np.stack(rows))).numpy())
    names = ["--names", "written/images.txt"]
    assert main(["audit", "embeddings.npy", *DATA, *names, "--device", "cpu"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Report: runs/embeddings-audit/report.html Next: open runs/embeddings-audit/report.html" in said
    (alone,) = json.loads((pictures / "runs/embeddings-audit/evaluation.json").read_text())["evaluations"]
    dataset = unconfound.load(**{**OPTIONS, "masks": pictures / "masks"})
    (whole,) = unconfound.audit({"pooled": pooled}, dataset, judging=unconfound.Judging(device="cpu"))
    whole = json.loads(json.dumps(whole.to_json()))
    assert {"background_gap", "background_gap_exchanged_probe"} <= whole["background"].keys()
    for figures in ("tests", "background", "cells", "classes"):
        assert alone[figures] == whole[figures]
    assert (pictures / "runs/pooled-audit/report.html").is_file()


def test_an_untrained_encoder_has_the_weights_of_the_seed(pictures):
    def figures(*encoders, seed=0):
        found = unconfound.audit([*encoders], out="report", pretrained=False, device="cpu", seed=seed, **OPTIONS)
        return found[-1].to_json()["tests"]

    torch.manual_seed(5)
    first = figures("convnet")
    assert figures("resnet18", "convnet") == first
    assert figures("convnet", seed=1) != first


def test_embeddings_of_originals_alone_say_what_was_not_measured(pictures, capsys):
    dataset = unconfound.load("images", masks=pictures / "masks", test_share=0.4)
    _, sources = sources_of(dataset, seed=0)
    kept = {name: embed(pooled, sources[name]) for name in ("train", "original")}
    names = [f"/elsewhere/images/{name}" for each in kept.values() for name in each.names]
    np.savez("e.npz", embeddings=torch.cat([each.features for each in kept.values()]).numpy(), names=names)
    assert main(["audit", "e.npz", *DATA, "--device", "cpu", "--out", "report"]) == 0
    told = capsys.readouterr()
    assert "not measured: it needs embeddings of the images on other backgrounds" in " ".join(told.err.split())
    assert "unconfound audit --write-images FOLDER --data images --masks masks --test-share 0.4" in told.out
    (found,) = json.loads((pictures / "report/evaluation.json").read_text())["evaluations"]
    assert ([*found["tests"]], found["background"]) == (["original"], {})


def test_embeddings_with_labels_need_no_data(pictures, capsys):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 80)
    rows = rng.normal(size=(80, 4)) + labels[:, None]
    np.savez("e.npz", embeddings=rows, y=labels, groups=rng.integers(0, 2, 80))
    np.savez("other.npz", embeddings=-rows)
    assert main(["audit", "e.npz", "other.npz", "--device", "cpu"]) == 0
    found = json.loads((pictures / "runs/audit/evaluation.json").read_text())["evaluations"]
    assert [each["name"] for each in found] == ["e", "other"]
    assert all({"linear_probe", "worst_group"} <= each["tests"]["test"].keys() for each in found)
    np.savez("bare.npz", embeddings=rows)
    assert main(["audit", "bare.npz"]) == 2
    assert "bare.npz has no labels: give --data, whose samples it names, or --metadata" in capsys.readouterr().err


def test_a_run_a_name_and_a_function_are_measured_side_by_side(pictures):
    small = {"encoder": "convnet", "width": 4, "depth": 2}
    run = unconfound.fit("random", "images", masks="masks", test_share=0.4, out="runs/small", **small).run
    asked = {"run": run, "untrained": "convnet", "function": pooled}
    found = unconfound.audit(asked, out="report", pretrained=False, device="cpu")
    assert [each.name for each in found] == ["run", "untrained", "function"]
    assert all("background_gap" in each.background for each in found)
    assert main(["audit", "runs/small", "--test-share", "0.5"]) == 2  # with training samples among those


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "audit needs an encoder"),
        (["resnet50"], "audit needs --data"),
        (
            ["convnet", "--data", "images"],
            "convnet has no published weights: give --no-pretrained",
        ),
        (
            ["a.safetensors", "--data", "images"],
            "holds weights and no network: give the name",
        ),
        (["a.pth", "--data", "images"], "may be a pickle, which is never read"),
        (["images", "--data", "images"], "images is no run folder"),
        (["none.npz", "--data", "images"], "there is no file none.npz"),
        (["resnet50", "resnet18", "--weights", "a", "--data", "images"], "for one encoder that is named, here are 2"),
        (["resnet50", "--names", "a", "--data", "images"], "--names a is for a file of embeddings"),
        (["resnet50", "--write-images", "a", "--data", "images"], "measures nothing: leave resnet50 out"),
    ],
)
def test_mistakes_are_one_line(pictures, capsys, words, said):
    assert main(["audit", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_what_is_no_encoder_is_refused_with_what_to_give():
    with pytest.raises(TypeError, match=r"an array holds embeddings.*np.savez\('embeddings.npz'"):
        unconfound.audit({"mine": np.zeros((3, 2))}, "images")
    with pytest.raises(TypeError, match="NoneType is no encoder"):
        unconfound.audit([None], "images")
    with pytest.raises(ValueError, match="two encoders are called pooled"):
        unconfound.audit([pooled, pooled], "images")
