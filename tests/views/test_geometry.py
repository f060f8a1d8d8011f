import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from unconfound.views.geometry import plan_resampling, random_boxes, resample

transforms = pytest.importorskip("torchvision.transforms")


def draw_boxes(count, *, height, width, scale=(0.2, 1.0), ratio=(3 / 4, 4 / 3), seed=0):
    numbers = torch.rand(count, 22, generator=torch.Generator().manual_seed(seed))
    return random_boxes(numbers, height=height, width=width, scale=scale, ratio=ratio)


def resized_crop(images, boxes, size, *, flip=None):
    height, width = images.shape[2:]
    return resample(images, plan_resampling(boxes, height=height, width=width, size=size, flip=flip))


def torchvision_crop(image, box, size, flip):
    view = transforms.functional.resized_crop(image, *box, [size, size], antialias=True)
    return transforms.functional.hflip(view) if flip else view


def naive_crop(image, box, size, flip):
    """Sample by sample, in plain Python floats: the normalised triangle over the pixels of the box."""
    top, left, height, width = box
    view = torch.zeros(len(image), size, size, dtype=torch.float64)

    def reach(length, sample):
        step = length / size
        centre, support = step * (sample + 0.5), max(1.0, step)
        weights = [max(0.0, 1 - abs(pixel + 0.5 - centre) / support) for pixel in range(length)]
        return [(pixel, weight / sum(weights)) for pixel, weight in enumerate(weights) if weight]

    for y in range(size):
        for x in range(size):
            for row, vertical in reach(height, y):
                for column, horizontal in reach(width, size - 1 - x if flip else x):
                    view[:, y, x] += vertical * horizontal * image[:, top + row, left + column].double()
    return view


@pytest.mark.parametrize("size", [1, 7, 32, 45, 90])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_crop_and_flip_agree_with_torchvision(size, channels):
    generator = torch.Generator().manual_seed(size)
    images = torch.rand(24, channels, 40, 52, generator=generator)
    boxes = draw_boxes(24, height=40, width=52, scale=(0.002, 1.0), seed=size)
    flip = torch.rand(24, generator=generator) < 0.5
    views = resized_crop(images, boxes, size, flip=flip)
    for image, box, mirrored, view in zip(images, boxes.tolist(), flip.tolist(), views, strict=True):
        torch.testing.assert_close(view, torchvision_crop(image, box, size, mirrored), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_crop_equals_the_naive_sum(data):
    height, width, size = (data.draw(st.integers(1, 9)) for _ in range(3))
    box_height, box_width = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - box_height)), data.draw(st.integers(0, width - box_width))
    flip = data.draw(st.booleans())
    image = torch.rand(2, height, width, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    box = [top, left, box_height, box_width]
    view = resized_crop(image[None], torch.tensor([box]), size, flip=torch.tensor([flip]))[0]
    torch.testing.assert_close(view.double(), naive_crop(image, box, size, flip), atol=1e-5, rtol=0)


def test_uint8_agrees_with_float_and_with_torchvision_to_half_a_level():
    images = torch.randint(0, 256, (20, 3, 33, 21), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    boxes = draw_boxes(20, height=33, width=21)
    views = resized_crop(images, boxes, 16)
    torch.testing.assert_close(views, resized_crop(images / 255, boxes, 16), atol=1e-6, rtol=0)
    for image, box, view in zip(images, boxes.tolist(), views, strict=True):
        rounded = torchvision_crop(image, box, 16, flip=False) / 255
        torch.testing.assert_close(view, rounded, atol=0.51 / 255, rtol=0)


def test_the_whole_image_at_its_own_size_comes_back_and_flips():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0, 0, 8, 8]] * 2)
    views = resized_crop(images, boxes, 8, flip=torch.tensor([False, True]))
    torch.testing.assert_close(views, torch.stack((images[0], images[1].flip(-1))), atol=1e-6, rtol=0)


def test_nothing_outside_the_box_is_seen():
    images = torch.ones(1, 1, 20, 20)
    images[:, :, 4:9, 6:17] = 0.25
    for size in (3, 11, 30):
        view = resized_crop(images, torch.tensor([[4, 6, 5, 11]]), size)
        torch.testing.assert_close(view, torch.full_like(view, 0.25))


def test_gradients_reach_the_image():
    image = torch.rand(1, 1, 6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    resized_crop(image, torch.tensor([[1, 1, 4, 3]]), 7).sum().backward()
    expected = torch.zeros(6, 5)
    expected[1:5, 1:4] = 1
    assert torch.equal(image.grad[0, 0] > 0, expected > 0)
    torch.testing.assert_close(image.grad.sum(), torch.tensor(49.0))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 64), (60, 28)])
@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.08, 0.5)])
def test_boxes_are_distributed_as_those_of_torchvision(height, width, scale):
    count = 4000
    ours = draw_boxes(count, height=height, width=width, scale=scale, seed=1).double()
    torch.manual_seed(2)
    image = torch.zeros(3, height, width)
    pick = transforms.RandomResizedCrop.get_params
    theirs = torch.tensor([pick(image, list(scale), [3 / 4, 4 / 3]) for _ in range(count)]).double()
    shares = [("area", lambda box: box[:, 2] * box[:, 3]), ("ratio", lambda box: box[:, 3] / box[:, 2])]
    shares += [("top", lambda box: box[:, 0]), ("left", lambda box: box[:, 1])]
    for name, share in shares:
        assert ks_2samp(share(ours), share(theirs)).pvalue > 0.01, name


def test_boxes_lie_inside_and_are_not_empty():
    boxes = draw_boxes(5000, height=5, width=300, scale=(0.001, 1.0))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] > 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= 5).all()
    assert (boxes[:, 1] + boxes[:, 3] <= 300).all()


def test_the_highest_number_still_lies_inside():
    boxes = random_boxes(torch.full((1, 22), math.nextafter(1, 0)), height=32, width=32, scale=(0.2, 0.5), ratio=(1, 1))
    top, left, height, width = boxes[0].tolist()
    assert (top + height, left + width) == (32, 32)


@pytest.mark.parametrize(("height", "width"), [(100, 8), (8, 100), (30, 30)])
def test_a_box_that_never_fits_becomes_the_central_one_of_torchvision(height, width):
    # Areas above the whole image's never fit.
    arguments = {"scale": (1.5, 1.6), "ratio": (3 / 4, 4 / 3)}
    ours = draw_boxes(3, height=height, width=width, **arguments)
    theirs = transforms.RandomResizedCrop.get_params(
        torch.zeros(3, height, width), list(arguments["scale"]), list(arguments["ratio"])
    )
    assert ours.tolist() == [list(theirs)] * 3
