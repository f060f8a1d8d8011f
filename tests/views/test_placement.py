from __future__ import annotations

import math

import pytest
import torch

from unconfound.views.placement import PLACEMENT_NUMBERS, placed, random_placements

STILL = {"turn": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0}


def _blob(height, width, *, top, left, size=4):
    opacity = torch.zeros(1, 1, height, width, dtype=torch.float64)
    opacity[..., top : top + size, left : left + size] = 1
    return opacity


def _naively(image, numbers, opacity, *, turn, scale, shear, shift):
    """Sample every pixel by hand, in pixels from the centres, each row of the plane by its formula."""
    height, width = image.shape
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    mass = opacity.sum()
    middle = float((rows * opacity).sum() / mass), float((columns * opacity).sum() / mass)
    angle, size = math.radians(turn) * (2 * numbers[0] - 1), scale[0] * (scale[1] / scale[0]) ** numbers[1]
    slant, right, down = (
        (2 * each - 1) * bound for each, bound in zip(numbers[2:], (shear, shift, shift), strict=True)
    )
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x = column + 0.5 - width / 2 * (1 + right)
            y = row + 0.5 - height / 2 * (1 + down)
            x += slant * y
            across = (math.cos(angle) * x - math.sin(angle) * y) / size + middle[1] - 0.5
            along = (math.sin(angle) * x + math.cos(angle) * y) / size + middle[0] - 0.5
            for near_row in (math.floor(along), math.floor(along) + 1):
                for near_column in (math.floor(across), math.floor(across) + 1):
                    if 0 <= near_row < height and 0 <= near_column < width:
                        weight = (1 - abs(along - near_row)) * (1 - abs(across - near_column))
                        result[row, column] += weight * image[near_row, near_column]
    return result


@pytest.mark.parametrize(
    "ranges",
    [
        STILL,
        {"turn": 30.0, "scale": (0.7, 1.6), "shear": 0.3, "shift": 0.4},
        {"turn": 180.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0},
    ],
)
def test_pixels_come_from_where_a_naive_loop_finds_them(ranges):
    generator = torch.Generator().manual_seed(0)
    numbers = torch.rand(2, PLACEMENT_NUMBERS, generator=generator, dtype=torch.float64)
    images = torch.rand(2, 1, 7, 5, generator=generator, dtype=torch.float64)
    opacity = torch.rand(2, 1, 7, 5, generator=generator, dtype=torch.float64)
    shown, covered = placed(images, opacity, random_placements(numbers, opacity, **ranges))
    for at in range(2):
        own = opacity[at, 0]
        expected = _naively(images[at, 0] * own, numbers[at].tolist(), own, **ranges)
        torch.testing.assert_close(shown[at, 0], expected)
        torch.testing.assert_close(covered[at, 0], _naively(own, numbers[at].tolist(), own, **ranges))


def test_a_foreground_comes_to_the_middle_and_from_there_to_its_place():
    opacity = _blob(16, 12, top=1, left=0)
    middle = torch.full((1, PLACEMENT_NUMBERS), 0.5, dtype=torch.float64)
    _, covered = placed(opacity, opacity, random_placements(middle, opacity, **STILL))
    torch.testing.assert_close(covered, _blob(16, 12, top=6, left=4))
    corner = torch.tensor([[0.5, 0.5, 0.5, 1.0, 0.0]], dtype=torch.float64)
    _, covered = placed(opacity, opacity, random_placements(corner, opacity, **STILL | {"shift": 0.5}))
    torch.testing.assert_close(covered, _blob(16, 12, top=2, left=7))


def test_what_is_no_foreground_is_taken_to_be_centred():
    nothing = torch.zeros(2, 1, 5, 5)
    maps = random_placements(torch.full((2, PLACEMENT_NUMBERS), 0.5), nothing, **STILL)
    torch.testing.assert_close(maps, torch.eye(2, 3).expand(2, 2, 3))
