"""kNN of untrained graph encoders by exact distances, beside float32 candidates and float64: docs/results/dacl.md.

    python -m benchmarks.exact_neighbours DATA_ROOT [seeds]

The encoder is a GIN of four layers in evaluation mode whose BatchNorm has seen no batch, so that sums over large graphs
keep their wide range. Accuracy is the mean over ten stratified folds; five neighbours vote.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from unconfound.data.graphs.tu import tu_set
from unconfound.encoders import build_encoder
from unconfound.evaluation import Embeddings, cross_validate_knn, embed
from unconfound.evaluation.folds import stratified_folds

SETS = {"REDDIT-BINARY": 32, "IMDB-BINARY": 128, "PROTEINS": 32}
NEIGHBOURS = 5


def main(words: list[str]) -> None:
    root, seeds = Path(words[0]), int(words[1]) if len(words) > 1 else 3
    print("| graphs | width | seed | exact distances (%) | float64 (%) | float32 candidates (%) | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, width in SETS.items():
        source = tu_set(name, root).train
        for seed in range(seeds):
            torch.manual_seed(seed)
            encoder = build_encoder("gin", source.schema, width=width, depth=4)
            embeddings = embed(encoder, source, device="cpu")
            started = time.monotonic()
            ours = cross_validate_knn(embeddings, neighbours=NEIGHBOURS, repeats=1, seed=seed).figure().value
            seconds = time.monotonic() - started
            exact, rounded = (_accuracy(embeddings, find, seed=seed) for find in (_in_float64, _in_float32))
            figures = " | ".join(f"{100 * each:.1f}" for each in (ours, exact, rounded))
            print(f"| {name} | {width} | {seed} | {figures} | {seconds:.1f} |", flush=True)


def _accuracy(embeddings: Embeddings, find: Callable[[Tensor, Tensor], Tensor], *, seed: int) -> float:
    """Vote on the folds of `cross_validate_knn`."""
    assert embeddings.labels is not None
    features, labels = embeddings.features, embeddings.labels
    folds = stratified_folds(labels, folds=10, repeats=1, seed=seed)[0]
    right = 0
    for fold in range(10):
        test, train = folds == fold, folds != fold
        votes = labels[train][find(features[test], features[train])]
        counts = torch.nn.functional.one_hot(votes, int(labels.max()) + 1).sum(1)
        right += int((counts.argmax(1) == labels[test]).sum())
    return right / len(labels)


def _in_float64(queries: Tensor, gallery: Tensor) -> Tensor:
    apart = torch.cdist(queries.double(), gallery.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return apart.topk(NEIGHBOURS, largest=False).indices


def _in_float32(queries: Tensor, gallery: Tensor) -> Tensor:
    """Products of float32 matrices, as a quick search picks its candidates."""
    apart = torch.cdist(queries.float(), gallery.float(), compute_mode="use_mm_for_euclid_dist")
    return apart.topk(NEIGHBOURS, largest=False).indices


if __name__ == "__main__":
    main(sys.argv[1:])
