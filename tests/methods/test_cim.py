from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp
from unconfound.data import Batch, Schema
from unconfound.functional.distributed import world
from unconfound.functional.ssim import ms_ssim
from unconfound.methods import CIM, Supervised
from unconfound.methods.cim import CIMOptions
from unconfound.methods.supervised import SupervisedOptions
from unconfound.training.batch_norm import synchronize_batch_norm
from unconfound.views.backgrounds import exchange_backgrounds

SIDE = 16
LARGER = Schema("images", (3, SIDE, SIDE), ("a", "b", "c"))


def _batch(size=8, *, seed=0, dtype=torch.float32, labels=None):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(size, 3, SIDE, SIDE, generator=generator).to(dtype)
    labels = torch.arange(size) % 3 if labels is None else torch.as_tensor(labels)
    return Batch(pixels, torch.arange(size), labels)


def _masked(batch):
    """The batch with the masks of foregrounds that differ from image to image."""
    masks = torch.zeros(len(batch), 1, SIDE, SIDE, dtype=torch.bool)
    for image, mask in enumerate(masks):
        mask[:, 2 : 9 + image % 4, 3 : 12 - image % 3] = True
    return replace(batch, masks=masks)


def _method(*, dtype=torch.float32, schema=LARGER, **options):
    torch.manual_seed(0)
    method = CIM(convnet(schema), schema, CIMOptions(**options)).to(dtype)
    # Far from a mask of one value.
    torch.nn.init.normal_(method.encoder.network.morpher.last.weight, std=1.0)
    return method


def _gradients(loss, module):
    found = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True, retain_graph=True)
    return torch.cat([torch.zeros(1) if each is None else each.flatten() for each in found])


@pytest.mark.parametrize("direction", ["pull", "literal"])
@pytest.mark.parametrize("similarity", ["ms-ssim", "ssim", "l2", "feature"])
def test_the_loss_is_cross_entropy_and_a_weighted_triplet_of_raw_partners(direction, similarity):
    method = _method(dtype=torch.float64, direction=direction, similarity=similarity, weight=0.7)
    # Two of each class: each anchor has one possible positive, and both others are possible negatives of one image.
    batch = _batch(4, dtype=torch.float64, labels=[0, 0, 1, 1])
    method.eval()
    torch.manual_seed(3)
    step = method(batch)

    encoder = method.encoder
    morphed = batch.inputs * encoder.network.morpher(batch.inputs)
    torch.manual_seed(3)
    _, negatives = method._partners(batch.labels)
    assert set(negatives[:2].flatten().tolist()) <= {2, 3}

    def alike(anchor, other):
        first, second = morphed[anchor][None], batch.inputs[other][None]
        if similarity == "l2":
            return 1 - (first - second).square().mean()
        if similarity == "feature":
            network = encoder.network.network
            return F.cosine_similarity(network(first), network(second))[0]
        return ms_ssim(first, second, negative="shift", scales=1 if similarity == "ssim" else None)[0]

    partner = [1, 0, 3, 2]
    differences = [alike(i, int(negatives[i, 0])) - alike(i, partner[i]) for i in range(4)]
    triplet = torch.stack(differences).mean() * (1 if direction == "pull" else -1)
    entropy = F.cross_entropy(method.linear_classifier()(encoder(batch.inputs)), batch.labels)
    torch.testing.assert_close(step.loss, entropy + 0.7 * triplet, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(step.scalars["triplet"].double(), triplet.detach(), rtol=1e-5, atol=1e-7)
    assert step.scalars["anchors"] == 1


def test_the_default_weight_follows_the_direction():
    assert _method().weight == 1
    assert _method(direction="literal").weight == 0.1
    assert _method(weight=0.0).weight == 0


def test_the_triplet_moves_the_morpher_alone():
    for similarity in ("ms-ssim", "feature"):
        method = _method(similarity=similarity)
        batch = _batch()
        morphed, _ = method.encoder.network.morph(batch.inputs)
        buffers = copy.deepcopy(dict(method.named_buffers()))
        triplet, _ = method._triplet(morphed, batch.inputs, batch.labels, None)
        assert _gradients(triplet, method.encoder.network.morpher).abs().max() > 0
        assert _gradients(triplet, method.encoder.network.network).abs().max() == 0
        assert _gradients(triplet, method.head).abs().max() == 0
        assert all(torch.equal(value, buffers[name]) for name, value in method.named_buffers())


def test_cross_entropy_moves_the_morpher_too_unless_it_is_told_not_to():
    batch = _batch()
    assert _gradients(_method(weight=0.0)(batch).loss, _method(weight=0.0).encoder.network.morpher).abs().max() == 0
    together, apart = _method(weight=0.0), _method(weight=0.0, detach_supervision=True)
    assert _gradients(together(batch).loss, together.encoder.network.morpher).abs().max() > 0
    assert _gradients(apart(batch).loss, apart.encoder.network.morpher).abs().max() == 0
    assert _gradients(apart(batch).loss, apart.encoder.network.network).abs().max() > 0


@pytest.mark.parametrize("vib", [False, True])
def test_without_morphing_it_is_the_supervised_baseline_bit_for_bit(vib):
    torch.manual_seed(0)
    encoder = convnet(LARGER)
    torch.manual_seed(1)
    plain = Supervised(encoder, LARGER, SupervisedOptions(vib=vib))
    encoder = convnet(LARGER)
    torch.manual_seed(1)
    method = CIM(encoder, LARGER, CIMOptions(weight=0.0, vib=vib))
    last = method.encoder.network.morpher.last
    last.weight.data.zero_()
    last.bias.data.fill_(100.0)
    for _ in range(2):
        torch.manual_seed(5)
        wanted = plain(_batch())
        torch.manual_seed(5)
        step = method(_batch())
        assert torch.equal(step.loss, wanted.loss)
        assert torch.equal(
            _gradients(step.loss, method.encoder.network.network), _gradients(wanted.loss, plain.encoder)
        )
    assert torch.equal(method.linear_classifier().weight, plain.linear_classifier().weight)


def test_partners_are_of_the_right_class():
    method = _method(positives=2, negatives=3)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    for rows, same, count in zip(method._partners(labels), (True, False), (2, 3), strict=True):
        assert rows.shape == (6, count)
        for anchor, row in enumerate(rows.tolist()):
            found = [j for j in row if j >= 0]
            fitting = [j for j in range(6) if j != anchor and (labels[j] == labels[anchor]) == same]
            assert set(found) <= set(fitting)
            assert len(set(found)) == len(found) == min(count, len(fitting))


def test_any_partners_ignore_labels_and_differ_from_each_other():
    method = _method(partners="any")
    drawn = [method._partners(torch.arange(5) % 2) for _ in range(40)]
    positives = torch.cat([positive for positive, _ in drawn], 1)
    negatives = torch.cat([negative for _, negative in drawn], 1)
    assert (positives != negatives).all()
    for anchor in range(5):
        assert set(positives[anchor].tolist()) == set(negatives[anchor].tolist()) == set(range(5)) - {anchor}


@pytest.mark.parametrize("direction", ["pull", "literal"])
@pytest.mark.parametrize("similarity", ["ms-ssim", "feature"])
def test_exchanged_partners_swap_backgrounds_with_another_class(direction, similarity):
    options = {"partners": "exchanged", "direction": direction, "similarity": similarity, "weight": 0.7}
    method = _method(dtype=torch.float64, **options)
    # Of the other class there is one image each.
    batch = _masked(_batch(2, dtype=torch.float64, labels=[0, 1]))
    method.eval()
    step = method(batch)
    encoder = method.encoder
    morphed = batch.inputs * encoder.network.morpher(batch.inputs)
    # The first picture has the foreground of image 0, the second one its background.
    swapped = exchange_backgrounds(batch.inputs, batch.masks, donors=torch.tensor([1, 0]))

    def alike(first, second):
        if similarity == "feature":
            network = encoder.network.network
            return F.cosine_similarity(network(first[None]), network(second[None]))[0]
        return ms_ssim(first[None], second[None], negative="shift")[0]

    differences = [alike(morphed[i], swapped[1 - i]) - alike(morphed[i], swapped[i]) for i in range(2)]
    triplet = torch.stack(differences).mean() * (1 if direction == "pull" else -1)
    entropy = F.cross_entropy(method.linear_classifier()(encoder(batch.inputs)), batch.labels)
    torch.testing.assert_close(step.loss, entropy + 0.7 * triplet, rtol=1e-5, atol=1e-7)
    assert step.scalars["anchors"] == 1


def test_exchanged_partners_are_of_other_classes_and_have_something_to_exchange():
    method = _method(partners="exchanged", positives=2, negatives=3)
    batch = _masked(_batch(6, labels=[0, 0, 0, 1, 1, 2]))
    batch.masks[3] = False
    batch.masks[5] = True
    pictures, positives, negatives = method._exchanged_partners(batch.inputs, batch.labels, batch.masks)
    assert len(pictures) == 6 * 5
    # Images 0 to 2 can take image 4 alone, image 4 all of them, and images 3 and 5 have nothing to exchange.
    assert (positives >= 0).sum(1).tolist() == [1, 1, 1, 0, 2, 0]
    assert (negatives >= 0).sum(1).tolist() == [1, 1, 1, 0, 3, 0]
    for i in (0, 1, 2):
        own, other = pictures[positives[i, 0]], pictures[negatives[i, 0]]
        assert torch.equal(own[:, batch.masks[i, 0]], batch.inputs[i][:, batch.masks[i, 0]])
        assert torch.equal(other[:, batch.masks[4, 0]], batch.inputs[4][:, batch.masks[4, 0]])
        neither = ~batch.masks[i, 0] & ~batch.masks[4, 0]
        assert torch.equal(own[:, neither], batch.inputs[4][:, neither])
        assert torch.equal(other[:, neither], batch.inputs[i][:, neither])
    assert method(batch).scalars["anchors"] == pytest.approx(4 / 6)
    nothing = method(replace(batch, masks=torch.zeros_like(batch.masks)))
    assert nothing.scalars["anchors"] == nothing.scalars["triplet"] == 0
    assert _gradients(nothing.loss, method).isfinite().all()


@pytest.mark.parametrize("options", [{}, {"lowest_mask": 0.25, "mask_channels": "all", "reduction": 2}])
def test_the_mask_can_be_taught(options):
    method = _method(dtype=torch.float64, weight=0.0, mask_weight=0.5, **options)
    batch = _masked(_batch(dtype=torch.float64))
    step = method(batch)
    mask = method.encoder.network.morpher(batch.inputs)
    lowest = options.get("lowest_mask", 0.0)
    assert lowest < mask.min()
    share = (mask - lowest) / (1 - lowest)
    wanted = batch.masks.double().expand_as(share)
    difference = -(wanted * share.log() + (1 - wanted) * (1 - share).log()).mean()
    torch.testing.assert_close(step.loss - step.scalars["cross_entropy"], 0.5 * difference)
    torch.testing.assert_close(step.scalars["mask_difference"], difference.detach())
    assert _gradients(step.loss, method.encoder.network.morpher).abs().max() > 0


def test_an_empty_mask_teaches_the_morpher_nothing():
    method = _method(dtype=torch.float64, weight=0.0, mask_weight=0.5)
    batch = _masked(_batch(dtype=torch.float64))
    batch.masks[1:] = False
    found = method(batch).scalars["mask_difference"]
    mask = method.encoder.network.morpher(batch.inputs)[0]
    wanted = batch.masks[0].double().expand_as(mask)
    first = -(wanted * mask.log() + (1 - wanted) * (1 - mask).log()).mean()
    torch.testing.assert_close(found, (first / len(batch)).detach())


def test_masks_are_asked_for_where_they_are_needed():
    for options in ({"partners": "exchanged"}, {"mask_weight": 1.0}):
        with pytest.raises(ValueError, match=r"cim needs masks of the foregrounds .* the data have none: name their"):
            _method(**options)(_batch())
    _method(partners="exchanged", weight=0.0)(_batch())


def test_a_first_mask_lies_above_the_lowest():
    method = CIM(convnet(LARGER), LARGER, CIMOptions(lowest_mask=0.2, first_mask=0.5))
    mask = method.encoder.network.morpher(_batch().inputs)
    assert mask.mean().item() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match=r"first_mask 0.1 must be above lowest_mask 0.2: raise the first, or lower"):
        CIMOptions(lowest_mask=0.2, first_mask=0.1)


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [0, 1, 2, 2]])
def test_anchors_without_partners_do_not_count(labels):
    method = _method()
    step = method(_batch(4, labels=labels))
    assert step.loss.isfinite()
    assert step.scalars["anchors"] == (0 if len(set(labels)) == 1 else 0.5)
    if len(set(labels)) == 1:
        assert step.scalars["triplet"] == 0
    gradients = _gradients(step.loss, method)
    assert gradients.isfinite().all()


def test_the_morpher_has_a_learning_rate_of_its_own_and_no_weight_decay():
    method = _method(morpher_learning_rate=0.5)
    (phase,) = method.phases()
    rest, morpher = phase.parameters
    assert morpher["lr"] == 0.5
    assert morpher["weight_decay"] == 0
    named = {id(parameter) for parameter in method.parameters()}
    assert {id(parameter) for group in (rest, morpher) for parameter in group["params"]} == named
    assert "lr" not in _method().phases()[0].parameters[1]


def test_a_dark_mask_is_told():
    method = _method()
    method(_batch())
    assert method.alarm() is None
    method.encoder.network.morpher.last.weight.data.zero_()
    method.encoder.network.morpher.last.bias.data.fill_(-8.0)
    method(_batch())
    assert "lets only 0.0% of the light through" in method.alarm()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_loss_is_full_precision(dtype):
    method = _method(vib=True)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype):
        loss = method(_batch()).loss
    loss.backward()
    assert loss.dtype == torch.float32
    torch.manual_seed(0)
    torch.testing.assert_close(loss, method(_batch()).loss, rtol=0.1, atol=0.1)
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())


def _share(options):
    method = _method(dtype=torch.float64, **options)
    synchronize_batch_norm(method, torch.device("cpu"))
    rank, processes = world()
    # The last anchors, all in the second process, have no positives.
    batch = _batch(8, dtype=torch.float64, labels=[0, 1, 0, 1, 0, 1, 2, 3 - 1 - 2])
    share = 8 // processes
    rows = slice(rank * share, (rank + 1) * share)
    torch.manual_seed(7)
    masks = _masked(batch).masks
    # The first image has nothing to exchange.
    masks[0] = False
    given = {"inputs": batch.inputs, "index": batch.index, "labels": batch.labels, "masks": masks}
    step = method(replace(batch, **{name: values[rows] for name, values in given.items()}))
    gradients = _gradients(step.loss, method)
    loss = step.loss.detach().clone()
    if processes > 1:
        torch.distributed.all_reduce(gradients)
        torch.distributed.all_reduce(loss)
    return loss / processes, gradients / processes, [buffer.clone() for buffer in method.buffers()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vib": True, "positives": 2, "similarity": "l2"},
        {"partners": "any", "similarity": "feature", "positives": 2},
        {"partners": "exchanged", "mask_weight": 1.0, "negatives": 2},
    ],
)
def test_two_processes_are_as_one(tmp_path, options):
    loss, gradients, buffers = _share(options)
    for other, own, statistics in run(_share, tmp_path, options):
        torch.testing.assert_close(other, loss)
        torch.testing.assert_close(own, gradients)
        torch.testing.assert_close(statistics, buffers)
    assert gradients.abs().max() > 1e-3


def test_everything_is_saved_and_the_classifier_sees_morphed_images():
    method, other = _method(), CIM(convnet(LARGER, seed=1), LARGER, CIMOptions())
    for _ in range(2):
        method(_batch())
    other.load_state_dict(method.state_dict())
    method.eval()
    other.eval()
    with torch.no_grad():
        logits = [each.linear_classifier()(each.encoder(_batch().inputs)) for each in (method, other)]
    assert torch.equal(*logits)
    assert torch.equal(method.linear_classifier()(method.encoder(_batch().inputs)), logits[0])


def test_uint8_images_are_the_same_images():
    pixels = image_batch(6).inputs
    method = _method(schema=IMAGES)
    losses = []
    for inputs in (pixels, pixels / 255.0):
        torch.manual_seed(0)
        losses.append(method(Batch(inputs, torch.arange(6), torch.arange(6) % 3)).loss)
    torch.testing.assert_close(*losses)


def test_mistakes_in_the_data_are_named():
    method = _method()
    with pytest.raises(ValueError, match=r"images in \[0, 1\] or as uint8, got values from -.* to .*: rescale"):
        method(replace(_batch(), inputs=2 * _batch().inputs - 1))
    with pytest.raises(ValueError, match="cim needs labels, this batch has none"):
        method(replace(_batch(), labels=None))
    with pytest.raises(ValueError, match="cim morphs images, the data are tables"):
        CIM(mlp(), ROWS)
    with pytest.raises(ValueError, match="cim needs at least two classes, the data have 1"):
        CIM(convnet(), replace(IMAGES, classes=("a",)))
    small = Schema("images", (3, 6, 6), ("a", "b"))
    with pytest.raises(ValueError, match="MS-SSIM needs images of at least 7 pixels a side, the data have 6 x 6"):
        CIM(convnet(small), small)
    CIM(convnet(small), small, CIMOptions(similarity="l2"))
