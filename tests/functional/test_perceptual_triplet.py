from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional import weighted_similarity as engine
from unconfound.functional.ssim import ms_ssim, perceptual_triplet

SIMILARITIES = ("ms-ssim", "ssim", "l2")


def draw(seed, *shape, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def naive(morphed, originals, positive_index, negative_index, *, similarity, negative):
    """The mean over anchors, one pair of images at a time; `ms_ssim` has an oracle of its own."""

    def alike(anchor, position):
        if similarity == "l2":
            return 1 - float(((morphed[anchor] - originals[position]) ** 2).mean())
        scales = 1 if similarity == "ssim" else None
        pair = morphed[anchor, None], originals[position, None]
        return float(ms_ssim(*pair, scales=scales, negative=negative))

    means = []
    for anchor in range(len(morphed)):
        pairs = [
            [alike(anchor, position) for position in index[anchor].tolist() if position >= 0]
            for index in (positive_index, negative_index)
        ]
        if all(pairs):
            means.append([sum(values) / len(values) for values in pairs])
    if not means:
        return 0.0, math.nan, math.nan, 0
    positive, other = (sum(values) / len(means) for values in zip(*means, strict=True))
    return other - positive, positive, other, len(means)


@settings(deadline=None, max_examples=25)
@given(
    batch=st.integers(1, 5),
    originals=st.integers(1, 4),
    positives=st.integers(1, 3),
    negatives=st.integers(1, 3),
    channels=st.integers(1, 3),
    height=st.integers(7, 16),
    width=st.integers(7, 16),
    similarity=st.sampled_from(SIMILARITIES),
    negative=st.sampled_from(["relu", "clamp", "shift"]),
    seed=st.integers(0, 1000),
)
def test_equals_its_definition(
    *, batch, originals, positives, negatives, channels, height, width, similarity, negative, seed
):
    generator = torch.Generator().manual_seed(seed)
    raw = draw(seed, originals, channels, height, width)
    morphed = 0.5 * raw[torch.arange(batch) % originals] + 0.5 * draw(seed + 1, batch, channels, height, width)
    index = [torch.randint(-1, originals, (batch, count), generator=generator) for count in (positives, negatives)]
    options = {"similarity": similarity, "negative": negative}
    loss, positive, other, count = naive(morphed, raw, *index, **options)
    result = perceptual_triplet(morphed, raw, *index, **options)
    assert result.loss.item() == pytest.approx(loss, abs=1e-9)
    assert result.positive.item() == pytest.approx(positive, abs=1e-9, nan_ok=True)
    assert result.negative.item() == pytest.approx(other, abs=1e-9, nan_ok=True)
    assert result.anchors.item() == count
    literal = perceptual_triplet(morphed, raw, *index, direction="literal", **options)
    assert literal.loss.item() == pytest.approx(-loss, abs=1e-9)


def batch_of(seed=0, dtype=torch.float64):
    """Five images with two positives and one negative each; the fourth has no negative, the fifth one positive."""
    originals = draw(seed, 5, 2, 14, 15, dtype=dtype)
    morphed = (0.2 + 0.6 * draw(seed + 1, 5, 1, 14, 15, dtype=dtype)) * originals
    positive_index = torch.tensor([[1, 2], [0, 2], [0, 1], [0, 1], [-1, 2]])
    negative_index = torch.tensor([[3], [3], [4], [-1], [0]])
    return morphed, originals, positive_index, negative_index


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("direction", ["pull", "literal"])
def test_gradient_of_the_morphed(similarity, direction, monkeypatch):
    monkeypatch.setattr(engine, "_CHUNK_ELEMENTS_CPU", 3 * 14 * 15)  # so that chunks part the channels of an image
    morphed, *rest = batch_of()

    def value(images):
        return 3 * perceptual_triplet(images, *rest, similarity=similarity, direction=direction).loss

    assert torch.autograd.gradcheck(value, morphed.requires_grad_(), fast_mode=True)
    (gradient,) = torch.autograd.grad(value(morphed), morphed)
    assert gradient.flatten(1).any(1).tolist() == [True, True, True, False, True]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_gradient_reaches_the_originals_or_the_log(similarity):
    morphed, originals, *index = batch_of()
    mask = draw(9, 5, 1, 14, 15).requires_grad_()
    originals.requires_grad_()
    result = perceptual_triplet(mask * originals.detach(), originals, *index, similarity=similarity)
    result.loss.backward()
    assert originals.grad is None
    assert mask.grad.any()
    assert not result.positive.requires_grad
    assert not result.negative.requires_grad
    assert not perceptual_triplet(morphed, originals, *index, similarity=similarity).loss.requires_grad


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_same_image_as_positive_and_negative_cancels(similarity):
    morphed, originals, positive_index, _ = batch_of()
    morphed.requires_grad_()
    result = perceptual_triplet(morphed, originals, positive_index, positive_index, similarity=similarity)
    result.loss.backward()
    assert result.loss.item() == pytest.approx(0, abs=1e-12)
    assert morphed.grad.abs().max() < 1e-12


def test_exchanging_partners_changes_the_sign_also_of_black_images():
    morphed, originals, positive_index, negative_index = batch_of()
    for images in (morphed, 0 * morphed):
        one = perceptual_triplet(images, originals, positive_index, negative_index)
        other = perceptual_triplet(images, originals, negative_index, positive_index)
        assert one.loss.item() == pytest.approx(-other.loss.item(), abs=1e-12)
        assert abs(one.loss.item()) <= 1


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_anchor_gives_0_without_nan(similarity):
    morphed, originals, positive_index, negative_index = batch_of()
    none = torch.full_like(negative_index, -1)
    for index in ((positive_index, none), (none, negative_index), (none, none)):  # the first is a batch of one class
        images = morphed.clone().requires_grad_()
        result = perceptual_triplet(images, originals, *index, similarity=similarity)
        result.loss.backward()
        assert result.loss.item() == 0
        assert images.grad.eq(0).all()
        assert result.anchors.item() == 0
        assert result.positive.isnan()
        assert result.negative.isnan()


def test_parts_weighted_by_their_anchors_equal_the_whole():
    morphed, originals, *index = batch_of()
    whole = perceptual_triplet(morphed, originals, *index)
    total = 0.0
    for rows in (slice(0, 1), slice(1, 5)):
        part = perceptual_triplet(morphed[rows], originals, *(each[rows] for each in index))
        total += part.loss * part.anchors / whole.anchors
    torch.testing.assert_close(total, whole.loss)


def test_black_pixels_give_the_mask_no_gradient():
    _, originals, *index = batch_of()
    originals[:, :, 4:9, 3:8] = 0
    mask = draw(3, 5, 1, 14, 15).requires_grad_()
    morphed = mask * originals
    loss = perceptual_triplet(morphed, originals, *index).loss
    of_mask, of_morphed = torch.autograd.grad(loss, [mask, morphed])
    torch.testing.assert_close(of_mask, (originals * of_morphed).sum(1, keepdim=True))
    assert of_mask[:, :, 4:9, 3:8].eq(0).all()
    assert of_mask[:3, :, :4].ne(0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("darkness", [1.0, 1e-3, 0.0])
def test_half_precision(dtype, similarity, darkness):
    morphed, *rest = batch_of(dtype=torch.float32)
    half = (darkness * morphed).to(dtype).requires_grad_()
    expected = perceptual_triplet(half.detach().float(), *rest, similarity=similarity)
    with torch.autocast("cpu", dtype):
        result = perceptual_triplet(half, *rest, similarity=similarity)
    result.loss.backward()
    assert result.loss.dtype == torch.float32
    torch.testing.assert_close(result.loss.detach(), expected.loss)
    assert half.grad.isfinite().all()


def digits_on_textures(generator, count, side=28):
    """Strokes of four classes, moved by up to two pixels, on random textures; and where the strokes are."""
    shapes = torch.zeros(4, side, side)
    shapes[0, 6:22, 12:16] = 1  # a one
    shapes[1, 6:10, 7:21] = shapes[1, 6:22, 17:21] = 1  # a seven
    shapes[2, 6:22, 7:11] = shapes[2, 18:22, 7:21] = 1  # an L
    shapes[3, 6:22, 7:21] = 1  # a nought
    shapes[3, 10:18, 11:17] = 0
    labels = torch.arange(count) % 4
    moves = torch.randint(-2, 3, (count, 2), generator=generator).tolist()
    strokes = torch.stack(
        [shapes[label].roll(move, (0, 1)) for label, move in zip(labels.tolist(), moves, strict=True)]
    )[:, None]
    coarse = torch.rand(count, 3, 7, 7, generator=generator)
    textures = F.interpolate(coarse, (side, side), mode="bilinear")
    return strokes + (1 - strokes) * textures, labels, strokes


def test_pull_dims_a_random_background_and_literal_does_not():
    generator = torch.Generator().manual_seed(0)
    images, labels, strokes = digits_on_textures(generator, 64)
    same = (labels[:, None] == labels).float().fill_diagonal_(0)
    index = [torch.multinomial(weights, 8, generator=generator) for weights in (same, 1 - same - torch.eye(64))]
    changes = {}
    for direction in ("pull", "literal"):
        logits = torch.zeros(2, requires_grad=True)  # of one weight for all background, one for all strokes
        optimizer = torch.optim.Adam([logits], lr=0.2)
        for _ in range(15):
            background, stroke = logits.sigmoid()
            mask = background + (stroke - background) * strokes
            loss = perceptual_triplet(mask * images, images, *index, direction=direction).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        changes[direction] = logits.sigmoid().detach() - 0.5
    background, stroke = changes["pull"].tolist()
    assert background < -0.05
    assert stroke > 0.05
    background, stroke = changes["literal"].tolist()
    assert stroke < background


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input():
    morphed, originals, positive_index, negative_index = batch_of()
    index = positive_index, negative_index
    with pytest.raises(ValueError, match="direction must be pull or literal, got 'push'"):
        perceptual_triplet(morphed, originals, *index, direction="push")
    with pytest.raises(ValueError, match="similarity must be ms-ssim, ssim or l2, got 'psnr'"):
        perceptual_triplet(morphed, originals, *index, similarity="psnr")
    with pytest.raises(ValueError, match="scales=2 is for similarity ms-ssim, got ssim"):
        perceptual_triplet(morphed, originals, *index, similarity="ssim", scales=2)
    with pytest.raises(ValueError, match="window_size=7 is for ms-ssim and ssim, got similarity l2"):
        perceptual_triplet(morphed, originals, *index, similarity="l2", window_size=7)
    with pytest.raises(ValueError, match="negative must be relu"):
        perceptual_triplet(morphed, originals, *index, negative="abs")
    with pytest.raises(ValueError, match="data_range must be"):
        perceptual_triplet(morphed, originals, *index, similarity="l2", data_range=0)
    with pytest.raises(ValueError, match="below the window of 7"):
        perceptual_triplet(morphed[..., :5], originals[..., :5], *index)
    with pytest.raises(ValueError, match="equal channels, heights and widths"):
        perceptual_triplet(morphed, originals[:, :1], *index)
    with pytest.raises(TypeError, match=r"originals must be floating-point, got torch.uint8: divide by 255"):
        perceptual_triplet(morphed, originals.to(torch.uint8), *index)
    with pytest.raises(TypeError, match="positive_index must be integers"):
        perceptual_triplet(morphed, originals, positive_index.float(), negative_index)
    for wrong in (negative_index[:, 0], negative_index[:4], negative_index[:, :0]):
        with pytest.raises(ValueError, match=r"negative_index must be .5, count. with a count of at least 1"):
            perceptual_triplet(morphed, originals, positive_index, wrong)
    for wrong in (-2, 5):
        with pytest.raises(ValueError, match=rf"-1 for no partner or below 5, the originals, got {wrong}"):
            perceptual_triplet(morphed, originals, positive_index, negative_index.clone().fill_(wrong))
