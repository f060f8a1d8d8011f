"""Every function that takes labels, groups or positions takes integers of any width, and refuses what is no integer."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

import unconfound
from unconfound.functional import (
    consistency,
    contrastive,
    invariance,
    proxy_losses,
    robust,
)
from unconfound.functional.clusters import normalized_mutual_information
from unconfound.functional.environments.learn import learn_environments
from unconfound.functional.erasure import leace
from unconfound.functional.error_weights import descend_to_weighted, error_weights
from unconfound.functional.group_accuracy import group_accuracy
from unconfound.functional.labels import check_labels, whole_numbers
from unconfound.functional.mutual_information import jensen_shannon_loss
from unconfound.functional.partners import class_partners
from unconfound.functional.proximal_logistic import penalized_logistic_regression
from unconfound.functional.retrieval_metrics import first_hits, retrieval_metrics, retrieval_per_query
from unconfound.functional.ssim import perceptual_triplet
from unconfound.functional.whitening import w_mse

WIDTHS = (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32)
BATCH, CLASSES, FEATURES = 9, 3, 4
LABELS = torch.tensor([0, 1, 1, 0, 2, 2, 1, 0, 2])
GROUPS = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 0])


def _draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ROWS, PROXIES, LOGITS = _draw(BATCH, FEATURES), _draw(CLASSES, FEATURES, seed=1), _draw(BATCH, CLASSES, seed=2)
IMAGES = _draw(BATCH, 1, 12, 12, seed=3).sigmoid()

# Functions of labels, or of what else names rows, by name.
CALLS = {
    "leace": lambda n: leace(ROWS, n),
    "error_weights": lambda n: error_weights(LOGITS, n, gamma=2.0),
    "descend_to_weighted": lambda n: descend_to_weighted(
        ROWS, n, torch.full((9,), 1 / 9), start=(PROXIES, PROXIES[:, 0]), pull=0.1, steps=3, learning_rate=0.1
    ),
    "mean_class_penalty": lambda n: consistency.mean_class_penalty(ROWS, n),
    "pairwise_class_penalty": lambda n: consistency.pairwise_class_penalty(ROWS, n),
    "supervised_contrastive": lambda n: contrastive.supervised_contrastive(ROWS, n),
    "softmax_scale_gradient": lambda n: invariance.softmax_scale_gradient(LOGITS, n, per_class=True),
    "softmax_sample_scale_gradients": lambda n: invariance.softmax_sample_scale_gradients(LOGITS, n),
    "cosface_logits": lambda n: proxy_losses.cosface_logits(ROWS, PROXIES, n, scale=2.0, margin=0.1),
    "arcface_logits": lambda n: proxy_losses.arcface_logits(ROWS, PROXIES, n, scale=2.0, margin=20.0),
    "normalized_softmax_logits": lambda n: proxy_losses.normalized_softmax_logits(ROWS, PROXIES, n, scale=2.0),
    "proxy_nca_logits": lambda n: proxy_losses.proxy_nca_logits(ROWS, PROXIES, n, scale=2.0),
    "soft_triple_logits": lambda n: proxy_losses.soft_triple_logits(
        ROWS, PROXIES[:, None].expand(-1, 2, -1), n, scale=2.0, margin=0.1, sharpness=1.0
    ),
    "proxy_anchor_loss": lambda n: proxy_losses.proxy_anchor_loss(ROWS, PROXIES, n),
    "group_losses": lambda n: robust.group_losses(ROWS[:, 0], n, count=CLASSES),
    "irm_penalty": lambda n: robust.irm_penalty(LOGITS, n, GROUPS.to(n.dtype), count=2),
    "learn_environments": lambda n: learn_environments(
        ROWS, batches=[n, n], generator=torch.Generator().manual_seed(0)
    ),
    "group_accuracy": lambda n: group_accuracy(
        n.flip(0), n, GROUPS.to(n.dtype), train_group_counts=torch.tensor([2, 5]).to(n.dtype)
    ),
    "penalized_logistic_regression": lambda n: penalized_logistic_regression(
        ROWS, n, classes=CLASSES, penalty="l2", inverse_strength=1.0
    ),
    "jensen_shannon_loss": lambda n: jensen_shannon_loss(LOGITS, n),
    "class_partners": lambda n: class_partners(n[2:5], n, first=2),
    "retrieval_metrics": lambda n: retrieval_metrics(ROWS, n),
    "retrieval_per_query": lambda n: retrieval_per_query(ROWS, n),
    "first_hits": lambda n: first_hits(ROWS, n).ranks,
    "normalized_mutual_information": lambda n: torch.tensor(normalized_mutual_information(n, n.flip(0))),
    "perceptual_triplet": lambda n: perceptual_triplet(IMAGES, IMAGES, n[:, None], n.flip(0)[:, None]),
    "w_mse": lambda n: w_mse(
        ROWS, ROWS.flip(1), size=9, orders=torch.arange(9).roll(3).to(n.dtype)[None], shrinkage=0.1
    ),
}
# What these are given was checked by the functions that call them.
INNER = {"tiled_cross_entropy", "weighted_similarity", "ascend_by_passes", "pairs"}


def _numbers(found):
    """Flatten whatever a function returns."""
    if isinstance(found, torch.Tensor):
        return found.double().flatten().tolist()
    if isinstance(found, dict):
        return list(found.values())
    if hasattr(found, "__dict__"):
        found = vars(found).values()
    return [number for each in found for number in ([each] if isinstance(each, float) else _numbers(each))]


def test_no_function_of_whole_numbers_is_left_out():
    folder = Path(unconfound.__file__).parent / "functional"
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                arguments = (*node.args.args, *node.args.kwonlyargs)
                written = [ast.unparse(each.annotation) for each in arguments if each.annotation is not None]
                if any("Int[" in text or "Integer[" in text for text in written):
                    found.add(node.name)
    assert found - INNER == CALLS.keys()


@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_integers_of_every_width_give_what_int64_gives(name, dtype):
    expected = _numbers(CALLS[name](LABELS))
    assert _numbers(CALLS[name](LABELS.to(dtype))) == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert len(expected) > 0


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.complex64], ids=str)
def test_what_is_no_integer_is_refused_in_one_line(name, kind, unchecked_shapes):
    with pytest.raises(TypeError, match=r"^\w+ must be integers, got torch\.\w+: convert with \.long\(\)$"):
        CALLS[name](LABELS.to(kind))


@pytest.mark.parametrize(
    "name",
    sorted(
        CALLS.keys()
        - {"normalized_mutual_information", "learn_environments", "class_partners", "group_accuracy", "w_mse"}
    ),
)
def test_labels_out_of_range_are_refused_in_one_line(name, unchecked_shapes):
    lowest = -2 if name == "perceptual_triplet" else -1
    with pytest.raises(ValueError, match=rf"^\w+ must .*got {lowest}"):
        CALLS[name](torch.where(LABELS == 1, lowest, LABELS))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int64])
def test_arrays_are_taken(kind):
    array = LABELS.numpy().astype(kind)
    assert torch.equal(whole_numbers("labels", array), LABELS)
    # A view that torch cannot share memory with.
    assert torch.equal(whole_numbers("labels", array[::-1]), LABELS.flip(0))
    assert torch.equal(whole_numbers("labels", array.astype(np.dtype(kind).newbyteorder())), LABELS)
    found = group_accuracy(array[::-1], array, GROUPS.numpy().astype(kind), train_group_counts=np.array([2, 5], kind))
    expected = group_accuracy(LABELS.flip(0), LABELS, GROUPS, train_group_counts=torch.tensor([2, 5]))
    assert _numbers(found) == _numbers(expected)


def test_what_is_no_array_of_integers_is_refused(unchecked_shapes):
    with pytest.raises(TypeError, match=r"labels must be integers, got float64: convert with \.astype\(int\)"):
        whole_numbers("labels", np.zeros(3))
    with pytest.raises(TypeError, match="labels must be integers, got bool"):
        whole_numbers("labels", np.zeros(3, bool))
    with pytest.raises(
        TypeError, match=r"labels must be a tensor of integers, got list: convert with torch\.as_tensor"
    ):
        whole_numbers("labels", [0, 1])


def test_each_row_has_one_label_in_range(unchecked_shapes):
    assert check_labels(torch.tensor([2, 0], dtype=torch.uint8), rows=2, count=3).dtype == torch.int64
    with pytest.raises(ValueError, match=r"groups must have shape \(3,\), one a row, got \(2,\)"):
        check_labels(torch.zeros(2, dtype=torch.long), rows=3, name="groups")
    with pytest.raises(ValueError, match="groups must be 0 to 1, got 2"):
        check_labels(torch.tensor([0, 2]), rows=2, count=2, name="groups")
    with pytest.raises(ValueError, match="labels must be 0 or above, got -3: leave out the rows without labels"):
        check_labels(torch.tensor([0, -3]), rows=2)
    assert check_labels(torch.zeros(0, dtype=torch.int8), rows=0, count=0).shape == (0,)
