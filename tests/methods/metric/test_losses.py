from __future__ import annotations

from typing import get_args

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from two_processes import run

from unconfound.functional.distributed import world
from unconfound.methods.metric.losses import build_metric_loss
from unconfound.options.methods.metric_settings import LOSSES, LossName, tuned

NAMES = get_args(LossName)
OURS = [name for name in NAMES if name != "fastap"]
WITH_ELEMENTS = [name for name in OURS if name not in ("contrastive-xbm", "proxy-anchor")]
# Small, and at an angle where all losses have something to learn.
SETTINGS = {
    "contrastive-xbm": {"memory": 40.0},
    "fastap": {"bins": 5.0},
    "soft-triple": {"centers": 3.0},
    "multi-similarity": {"positive_scale": 2.0},
    "contrastive": {"positive_margin": 0.2, "margin": 1.2},
}


def metric_library():
    return pytest.importorskip("pytorch_metric_learning", reason="extra metric is not installed")


def build(name, implementation="auto"):
    torch.manual_seed(0)
    return build_metric_loss(
        name, classes=5, features=6, settings=SETTINGS.get(name), implementation=implementation
    ).double()


def batch(samples=20, *, seed=1):
    rows = torch.randn(samples, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rows.requires_grad_(), torch.arange(samples) % 5


def with_our_proxies(published, ours):
    """Hand our proxies to the library's module, which keeps them in other shapes."""
    for theirs in published.published.parameters():
        own = ours.boundary if ours.boundary is not None else ours.proxies
        flat = own.detach().flatten(0, -2) if own.dim() > 1 else own.detach()
        theirs.data.copy_(flat if flat.shape == theirs.shape else flat.T)
    return published


@pytest.mark.parametrize("name", OURS)
def test_ours_is_the_published_one(name):
    metric_library()
    ours = build(name)
    published = with_our_proxies(build(name, "published"), ours)
    rows, labels = batch()
    for step in range(3):
        values = ours(rows + step, labels), published(rows + step, labels)
        # The library adds another small number under the root of SoftTriple's regularizer.
        torch.testing.assert_close(*values, rtol=0, atol=1e-5 if name == "soft-triple" else 1e-6)
        gradients = [torch.autograd.grad(value, rows)[0] for value in values]
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)
    assert ours.published is None
    assert published.proxies is None
    assert not published.has_elements


@pytest.mark.parametrize("name", WITH_ELEMENTS)
def test_the_mean_of_the_elements_is_the_loss(name):
    loss, (rows, labels) = build(name), batch()
    losses, anchors = loss.elements(rows, labels)
    assert losses.shape == anchors.shape
    assert set(anchors.tolist()) <= set(range(20))
    torch.testing.assert_close(losses.mean(), loss(rows, labels))
    gradients = [torch.autograd.grad(value, rows)[0] for value in (losses.mean(), loss(rows, labels))]
    torch.testing.assert_close(*gradients)
    scaled, same = loss.elements(rows, labels, scale=torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(scaled, losses)
    assert torch.equal(same, anchors)


@pytest.mark.parametrize("name", WITH_ELEMENTS)
def test_elements_can_be_differentiated_by_the_scale_forwards_and_then_by_the_embeddings(name):
    loss, (rows, labels) = build(name), batch()
    one = torch.ones((), dtype=torch.float64)

    def mean(scale):
        return loss.elements(rows, labels, scale=scale)[0].mean()

    _, slope = torch.func.jvp(mean, (one,), (one,))
    step = 1e-6
    torch.testing.assert_close(slope, (mean(one + step) - mean(one - step)) / (2 * step), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(slope.square(), rows)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", WITH_ELEMENTS)
def test_elements_belong_to_their_anchors(name):
    """Turning one sample away changes, in a loss of proxies, the elements of this sample alone."""
    loss, (rows, labels) = build(name), batch()
    if not loss.has_logits:
        counts = torch.bincount(loss.elements(rows, labels)[1], minlength=20)
        assert (counts > 0).sum() > 10
        return
    moved = torch.cat([-rows[:1], rows[1:]])
    difference = loss.elements(moved, labels)[0] - loss.elements(rows, labels)[0]
    assert difference[0].abs() > 1e-3
    assert (difference[1:] == 0).all()


@pytest.mark.parametrize("name", ["cosface", "soft-triple"])
def test_logits_are_what_the_loss_is_the_cross_entropy_of(name):
    loss, (rows, labels) = build(name), batch()
    logits = loss.logits(rows, labels)
    extra = loss.elements(rows, labels)[0] - F.cross_entropy(logits, labels, reduction="none")
    assert extra.std() < 1e-12
    assert (extra.mean() > 1e-3) == (name == "soft-triple")
    with pytest.raises(ValueError, match="the loss triplet has no logits: use our proxy-nca"):
        build("triplet").logits(rows, labels)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_gives_a_finite_float32_loss(name):
    if name == "fastap":
        metric_library()
    loss, (rows, labels) = build(name).float(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(rows.bfloat16(), labels)
    assert value.dtype == torch.float32
    assert value.isfinite()
    value.backward()
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [2, 2, 2, 2], [0, 0, 1, 2], [4]])
def test_a_batch_that_little_can_be_learnt_from_has_a_finite_loss_and_gradient(name, labels):
    if name == "fastap":
        metric_library()
    loss, labels = build(name), torch.tensor(labels)
    rows = batch(len(labels))[0]
    value = loss(rows, labels)
    assert value.isfinite()
    (gradient,) = torch.autograd.grad(value, rows)
    assert gradient.isfinite().all()
    if loss.has_elements and not (LOSSES[name].needs_pairs and len(labels.unique()) == len(labels)):
        losses, _ = loss.elements(rows, labels)
        torch.testing.assert_close(losses.mean() if len(losses) else 0 * value, value)


def test_the_memory_compares_with_earlier_batches_and_survives():
    loss, (rows, labels) = build("contrastive-xbm"), batch(8)
    first = loss(rows, labels)
    same = labels[:, None] == labels
    cosines = F.normalize(rows) @ F.normalize(rows).T
    pulled = (1 - cosines)[same & ~torch.eye(8, dtype=torch.bool)]
    pushed = (cosines - 0.5).relu()[~same]
    torch.testing.assert_close(first, pulled.mean() + pushed[pushed > 0].mean())
    assert (loss.memory.labels >= 0).sum() == 8
    other = build("contrastive-xbm")
    other.load_state_dict(loss.state_dict())
    values = [each(rows + 1, labels) for each in (loss, other)]
    assert values[0] == values[1]
    assert values[0] != build("contrastive-xbm")(rows + 1, labels)
    for _ in range(5):
        loss(rows + 2, labels)
    assert (loss.memory.labels >= 0).all()
    assert loss.memory.pointer == 7 * 8 % 40
    held = loss.memory.rows.clone()
    loss.eval()(rows, labels)
    assert torch.equal(loss.memory.rows, held)
    with pytest.raises(ValueError, match="a batch of 41 does not fit a memory of 40: use a smaller --batch-size"):
        loss.train()(*batch(41))


def _share(names):
    """Losses and averaged gradients on this process's share of twenty samples."""
    rank, processes = world()
    found = []
    for name in names:
        loss = build(name)
        rows, labels = (each.detach().chunk(processes)[rank] for each in batch())
        weights = torch.eye(6, dtype=torch.float64, requires_grad=True)
        parameters = [weights, *loss.parameters()]
        values = [loss((rows + step) @ weights, labels) for step in range(2)]
        gradients = torch.autograd.grad(sum(values), parameters)
        flat = torch.cat([each.flatten() for each in gradients])
        if processes > 1:
            torch.distributed.all_reduce(flat)
        found.append((torch.stack(values).detach(), flat / processes))
    return found


def test_two_processes_are_as_one(tmp_path):
    alone = _share(OURS)
    for shared in run(_share, tmp_path, OURS):
        for of_two, of_one in zip(shared, alone, strict=True):
            torch.testing.assert_close(of_two, of_one)
    assert all(gradients.abs().max() > 1e-6 for _, gradients in alone)


def test_every_loss_has_settings_of_each_data_set():
    assert set(LOSSES) == set(NAMES)
    assert len(NAMES) == 17
    settings, rate = tuned("cosface", "cars196")
    assert (settings, rate) == ({"scale": 161.5, "margin": 0.4324}, 7.41e-3)
    assert tuned("triplet") == ({"margin": 0.0961}, None)
    assert tuned("proxy-anchor", "stanford-online-products") == ({"scale": 32.0, "margin": 0.1}, 1e-2)
    assert tuned("nt-xent")[0]["scale"] == pytest.approx(1 / 0.0091)


def test_bad_choices_are_refused(monkeypatch):
    for arguments, message in (
        ({"name": "cosfase"}, "unknown loss 'cosfase': did you mean 'cosface'?"),
        ({"implementation": "our"}, "unknown implementation 'our': did you mean 'ours'?"),
        ({"name": "fastap", "implementation": "ours"}, "fastap has no implementation of ours"),
        ({"settings": {"sale": 2.0}}, "the loss cosface has no sale: it has scale, margin"),
        ({"settings": {"scale": -2.0}}, "scale of the loss cosface must be above 0, got -2.0"),
        ({"settings": {"margin": float("nan")}}, "margin of the loss cosface must be a finite number, got nan"),
        ({"name": "snr-contrastive", "features": 1}, "compares variances over features, and there is 1"),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            unchecked(**{"name": "cosface", "classes": 3, "features": 4} | arguments)
        assert message in str(error.value)
    with pytest.raises(ValueError, match=r"the loss proxy-anchor has no elements .* use our implementation of one of "):
        build("proxy-anchor").elements(*batch())
    monkeypatch.setattr("unconfound.extras.import_module", _nowhere)
    with pytest.raises(ImportError, match=r"it comes with `pip install 'unconfound\[metric\]'`"):
        build("fastap")


def _nowhere(module):
    raise ModuleNotFoundError(module, name=module.partition(".")[0])


def unchecked(**arguments):
    """Let the function's own checks speak, which the checker of annotations would come before."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        return build_metric_loss(**arguments)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
