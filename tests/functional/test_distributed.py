from __future__ import annotations

import pytest
import torch
from two_processes import run

from unconfound.functional.contrastive import nt_xent, supervised_contrastive
from unconfound.functional.distributed import gather, uniform, world


def _batch():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    layer = torch.nn.Linear(5, 4).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return first, second, torch.tensor([0, 1, 0, 2, 1, 0]), layer


def _gradients(which):
    """The gradient that the average over processes gives, and the loss."""
    first, second, labels, layer = _batch()
    rank, processes = world()
    share = slice(rank * 6 // processes, (rank + 1) * 6 // processes)
    first, second = gather(layer(first[share])), gather(layer(second[share]))
    if which == "nt_xent":
        loss = nt_xent(first, second, temperature=0.2)
    else:
        loss = supervised_contrastive(torch.cat([first, second]), gather(labels[share]).repeat(2))
    loss.backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in layer.parameters()])
    if processes > 1:
        torch.distributed.all_reduce(gradients)
    return gradients / processes, loss.detach()


def _draw():
    generator = torch.Generator().manual_seed(7)
    rows = 6 // world()[1]
    return uniform(rows, 3, generator=generator), uniform(rows, generator=generator)


def _gather_other_dtypes():
    rank, _ = world()
    return gather(torch.arange(3) + 3 * rank), gather(torch.full((1, 2, 2), rank, dtype=torch.uint8)), world()


def _everything():
    return {
        "nt_xent": _gradients("nt_xent"),
        "supervised_contrastive": _gradients("supervised_contrastive"),
        "draw": _draw(),
        "gather": _gather_other_dtypes(),
    }


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Both processes' results, once for all tests."""
    return run(_everything, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("which", ["nt_xent", "supervised_contrastive"])
def test_two_processes_give_the_gradient_of_one(which, ranks):
    expected, loss = _gradients(which)
    for rank in ranks:
        gradients, other_loss = rank[which]
        torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(other_loss, loss, rtol=0, atol=1e-12)
    assert expected.abs().max() > 1e-3


def test_two_processes_draw_the_numbers_of_one(ranks):
    drawn = zip(*[rank["draw"] for rank in ranks], strict=True)
    for parts, expected in zip(drawn, _draw(), strict=True):
        torch.testing.assert_close(torch.cat(parts), expected, rtol=0, atol=0)


def test_gather_takes_integers_and_keeps_the_order_of_ranks(ranks):
    for rank, results in enumerate(ranks):
        numbers, images, place = results["gather"]
        assert numbers.tolist() == [0, 1, 2, 3, 4, 5]
        assert images.shape == (2, 2, 2)
        assert images[:, 0, 0].tolist() == [0, 1]
        assert place == (rank, 2)


def _fail():
    if world()[0] == 1:
        raise KeyError("from rank one")
    torch.distributed.barrier()


def test_a_failing_process_is_reported_with_its_traceback(tmp_path):
    with pytest.raises(AssertionError, match="from rank one"):
        run(_fail, tmp_path)


def test_one_process_needs_no_group():
    rows = torch.randn(3, 2)
    assert gather(rows) is rows
    assert world() == (0, 1)
    generator = torch.Generator().manual_seed(0)
    drawn = uniform(1000, generator=generator)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.05
