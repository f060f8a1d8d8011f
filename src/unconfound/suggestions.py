"""Suggestions for misspelt names, and for what other programs call an option."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# What others say -> what we say, without leading dashes.
SYNONYMS = {
    **dict.fromkeys(("lr", "eta", "step-size"), "learning-rate"),
    **dict.fromkeys(("bs", "batch", "batchsize"), "batch-size"),
    **dict.fromkeys(("wd", "l2", "decay"), "weight-decay"),
    **dict.fromkeys(("arch", "architecture", "model", "backbone", "network", "net"), "encoder"),
    **dict.fromkeys(("weights", "init", "init-from", "checkpoint", "ckpt", "load", "finetune", "fine-tune"), "from"),
    **dict.fromkeys(("o", "output", "output-dir", "outdir", "save-dir", "logdir", "log-dir", "dest"), "out"),
    **dict.fromkeys(("dataset", "input", "train-data"), "data"),
    **dict.fromkeys(("root", "data-dir", "data-path", "dataset-root"), "data-root"),
    **dict.fromkeys(("gpu", "gpus", "accelerator"), "device"),
    **dict.fromkeys(("amp", "fp16", "bf16", "half", "dtype"), "precision"),
    **dict.fromkeys(("force", "f", "replace"), "overwrite"),
    **dict.fromkeys(("continue", "restart"), "resume"),
    **dict.fromkeys(("img-size", "size", "resolution", "input-size"), "image-size"),
    **dict.fromkeys(("num-epochs", "n-epochs", "max-epochs", "iterations"), "epochs"),
    **dict.fromkeys(("num-workers", "n-workers", "num-jobs"), "workers"),
    **dict.fromkeys(("n-jobs", "processes", "parallel"), "jobs"),
    **dict.fromkeys(("random-state", "random-seed", "manual-seed"), "seed"),
    **dict.fromkeys(("k", "top-k", "topk", "neighbors", "n-neighbors"), "neighbours"),
    **dict.fromkeys(("temp", "tau", "t"), "temperature"),
    **dict.fromkeys(("opt", "optim"), "optimizer"),
    **dict.fromkeys(("warmup", "warm-up"), "warmup-epochs"),
    **dict.fromkeys(("clip", "grad-clip", "max-norm", "clip-norm"), "gradient-clip"),
    **dict.fromkeys(("accum", "grad-accum", "gradient-accumulation"), "accumulate"),
    **dict.fromkeys(("ema", "ema-momentum"), "ema-decay"),
    **dict.fromkeys(("proj-dim", "projection-dim", "out-dim"), "projection-features"),
    **dict.fromkeys(("target", "y", "class", "label-column"), "label"),
}


def nearest_known(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is meant: by another word for it, as its beginning, or misspelt; None if none is."""
    plain = {_plain(each): each for each in known}
    asked = _plain(name)
    if SYNONYMS.get(asked) in plain:
        return plain[SYNONYMS[asked]]
    begun = [each for each in plain if len(asked) > 1 and each.startswith(asked)]
    close = begun if len(begun) == 1 else get_close_matches(asked, plain, n=1)
    return plain[close[0]] if close else None


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest, or which there are."""
    known = list(known)
    near = nearest_known(name, known)
    return f"did you mean {near!r}?" if near else f"use one of {', '.join(known)}"


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()
