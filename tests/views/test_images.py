import copy

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp
from two_processes import run

from unconfound.views import ImageViewOptions, ImageViews
from unconfound.views import images as module

PLAIN = {"jitter_probability": 0.0, "grayscale_probability": 0.0}
WHOLE = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "flip_probability": 0.0}
EVERYTHING = {"blur_probability": 0.5}


def views_of(size, **options):
    return ImageViews(size, ImageViewOptions(**options))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def some_images(count=16, channels=3, height=32, width=32, seed=0):
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=seeded(seed))


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 32), (20, 45, 24), (9, 7, 40), (64, 50, 8), (1, 1, 2)])
@pytest.mark.parametrize("batch", [1, 5])
def test_shape_type_and_range(channels, height, width, size, batch):
    views = views_of(size, **EVERYTHING)(some_images(batch, channels, height, width), seeded())
    assert views.shape == (2 * batch, channels, size, size)
    assert views.dtype == torch.float32
    assert views.min() >= 0
    assert views.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_float_images_give_the_views_of_uint8_ones(dtype):
    images = some_images()
    views = views_of(24, **EVERYTHING)
    tolerance = 5e-3 if dtype == torch.float16 else 1e-5
    torch.testing.assert_close(
        views((images / 255).to(dtype), seeded()), views(images, seeded()), atol=tolerance, rtol=0
    )


def test_without_any_option_both_views_are_the_images():
    images = some_images()
    views = views_of(32, **WHOLE, **PLAIN)(images, seeded())
    torch.testing.assert_close(views, torch.cat((images, images)) / 255, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_views_as_are_asked_for(count):
    images = some_images()
    views = views_of(32, **WHOLE, **PLAIN)(images, seeded(), count=count)
    torch.testing.assert_close(views, images.repeat(count, 1, 1, 1) / 255, atol=1e-6, rtol=0)
    assert views_of(24, **EVERYTHING)(images, seeded(), count=count).shape == (count * 16, 3, 24, 24)


def test_equal_generators_give_equal_views_and_others_differ():
    images, views = some_images(), views_of(32)
    assert torch.equal(views(images, seeded(1)), views(images, seeded(1)))
    assert not torch.equal(views(images, seeded(1)), views(images, seeded(2)))
    generator = seeded(1)
    assert not torch.equal(views(images, generator), views(images, generator))
    torch.manual_seed(5)
    first = views(images)
    torch.manual_seed(5)
    assert torch.equal(first, views(images))


def test_every_view_of_every_image_has_its_own_randomness():
    images = some_images(1).expand(20, -1, -1, -1)
    views = views_of(32)(images, seeded()).flatten(1)
    apart = torch.cdist(views, views) + 100 * torch.eye(40)
    assert apart.min() > 0.1


def test_the_input_is_left_as_it_is():
    images = some_images() / 255
    before = images.clone()
    views_of(32, **EVERYTHING)(images, seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize("wanted", [0.0, 0.3, 1.0])
def test_rates_are_the_probabilities(wanted):
    count = 3000
    ramp = torch.linspace(0, 1, 8).expand(count, 3, 8, 8) * torch.tensor([1.0, 0.6, 0.3])[:, None, None]
    options = WHOLE | PLAIN
    flipped = views_of(8, **options | {"flip_probability": wanted})(ramp, seeded())
    gray = views_of(8, **options | {"grayscale_probability": wanted})(ramp, seeded())
    jittered = views_of(8, **options | {"jitter_probability": wanted})(ramp, seeded())
    blurred = views_of(8, **options | {"blur_probability": wanted})(ramp.square(), seeded())
    rates = {
        "flip": flipped[:, 0, 0, 0] > flipped[:, 0, 0, -1],
        "grayscale": (gray[:, 0] == gray[:, 2]).flatten(1).all(1),
        "jitter": ((jittered - torch.cat((ramp, ramp))).abs() > 1e-4).flatten(1).any(1),
        # The narrowest Gaussians (sigma below 0.2 pixels) change less than can be seen.
        "blur": ((blurred - torch.cat((ramp, ramp)).square()).abs() > 1e-6).flatten(1).any(1),
    }
    for name, seen in rates.items():
        tolerance = 0.0 if wanted in (0, 1) and name != "blur" else 0.06 if name == "blur" else 0.03
        assert abs(seen.double().mean() - wanted) <= tolerance, name


def test_operations_are_drawn_independently_of_each_other():
    ramp = torch.linspace(0.2, 0.8, 8).expand(6000, 3, 8, 8) * torch.tensor([1.0, 0.6, 0.3])[:, None, None]
    made = views_of(8, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), jitter_probability=0.5)(ramp, seeded())
    flip = (made[:, 0, 0, 0] > made[:, 0, 0, -1]).float().chunk(2)
    gray = (made[:, 0] == made[:, 2]).flatten(1).all(1).float().chunk(2)
    left = torch.where(made[:, :1, :1, :1] > made[:, :1, :1, -1:], made.flip(-1), made)[:, 1, 0, 0]
    jittered = ((left - 0.12).abs() > 1e-4).where(torch.cat(gray) == 0, torch.nan).chunk(2)
    together = torch.corrcoef(torch.stack((*flip, *gray)))
    assert (together - torch.eye(4)).abs().max() < 0.05
    colourful = ~(jittered[0].isnan() | jittered[1].isnan())
    together = torch.corrcoef(torch.stack((*flip, *jittered))[:, colourful])
    assert (together - torch.eye(4)).abs().max() < 0.05


def test_crops_and_jitter_look_like_those_of_torchvision():
    transforms = pytest.importorskip("torchvision.transforms")
    theirs = transforms.Compose(
        [
            transforms.RandomResizedCrop(16, scale=(0.2, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(0.2),
        ]
    )
    count = 700
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4, generator=seeded()), size=24, mode="bilinear")
    torch.manual_seed(0)
    expected = torch.stack([theirs(image[0]) for _ in range(2 * count)])
    made = views_of(16)(image.expand(count, -1, -1, -1), seeded())
    for name, figure in {
        "brightness": lambda views: views.mean((1, 2, 3)),
        "contrast": lambda views: views.std((1, 2, 3)),
        "red": lambda views: (views[:, 0] - views[:, 1]).mean((1, 2)),
        "blue": lambda views: (views[:, 2] - views[:, 1]).mean((1, 2)),
        "corner": lambda views: views[:, 1, 0, 0],
    }.items():
        assert ks_2samp(figure(made), figure(expected)).pvalue > 0.01, name


@pytest.mark.parametrize("jitter", [(0.4, 0.4, 0.4, 0.1), (0.4, 0, 0, 0), (0, 0, 0, 0.2), (0, 0.3, 0.3, 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_way_of_accelerators_gives_the_same_views(jitter, channels, monkeypatch):
    # On an accelerator all views go through all steps together; here that way is taken on the CPU.
    views = views_of(24, jitter=jitter, blur_probability=0.5)
    images = some_images(40, channels)
    grouped = views(images, seeded())
    monkeypatch.setattr(ImageViews, "_alike", ImageViews._together)
    torch.testing.assert_close(views(images, seeded()), grouped, atol=1e-5, rtol=0)


def test_nothing_waits_for_the_device():
    # Tensors on "meta" hold no numbers, so that any look at one fails.
    images = torch.empty(6, 3, 32, 32, dtype=torch.uint8, device="meta")
    views = views_of(24, blur_probability=0.5)(images)
    assert views.shape == (12, 3, 24, 24)
    assert views.device.type == "meta"


def test_views_do_not_depend_on_the_size_of_chunks(monkeypatch):
    images, views = some_images(), views_of(32, **EVERYTHING)
    whole = views(images, seeded())
    monkeypatch.setattr(module, "CHUNK_CPU", 1)
    torch.testing.assert_close(views(images, seeded()), whole, atol=1e-6, rtol=0)


def test_autocast_does_not_coarsen_the_views():
    images, views = some_images(), views_of(32, **EVERYTHING)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = views(images, seeded())
    assert torch.equal(coarse, views(images, seeded()))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_even_images_stay_even(level):
    images = torch.full((30, 3, 16, 16), level, dtype=torch.uint8)
    views = views_of(16, **EVERYTHING)(images, seeded())
    assert views.isfinite().all()
    assert (views - views[:, :, :1, :1]).abs().max() < 1e-5
    if level == 0:
        assert views.max() < 1e-6


def _share_of_views(rank_rows):
    rank = torch.distributed.get_rank()
    images = torch.randint(0, 256, (2 * rank_rows, 3, 16, 16), dtype=torch.uint8, generator=seeded())
    return views_of(16, blur_probability=0.5)(images[rank * rank_rows : (rank + 1) * rank_rows], seeded(3))


def test_two_processes_make_the_views_of_one(tmp_path):
    first, second = run(_share_of_views, tmp_path, 5)
    whole = views_of(16, blur_probability=0.5)(some_images(10, height=16, width=16), seeded(3))
    spread = torch.cat((first[:5], second[:5], first[5:], second[5:]))
    torch.testing.assert_close(spread, whole, atol=1e-6, rtol=0)


def test_views_can_be_copied_and_hold_no_state():
    images, views = some_images(), views_of(32)
    before = copy.deepcopy(vars(views))
    made = copy.deepcopy(views)(images, seeded())
    assert torch.equal(made, views(images, seeded()))
    assert vars(views) == before


def test_views_of_real_images(data_root):
    photographs = [np.asarray(Image.open(path)) for path in sorted(data_root.glob("BSDS500/**/*.jpg"))]
    images = torch.from_numpy(np.stack([photograph[:300, :300] for photograph in photographs])).permute(0, 3, 1, 2)
    views = views_of(32)(images, seeded())
    # The mean of a data set hardly moves, and views of an image are nearer to each other than to those of others.
    assert (views.mean((0, 2, 3)) - (images / 255).mean((0, 2, 3))).abs().max() < 0.03
    first, second = views.mean((2, 3)).chunk(2)
    apart = torch.cdist(first, second)
    assert apart.diagonal().mean() < 0.8 * apart.mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size is 0: a view needs a side of at least 1 pixels"),
        ({"size": 1, "blur_probability": 0.5}, "size is 1: a view needs a side of at least 2 pixels"),
        (
            {"crop_scale": (0.0, 1.0)},
            r"crop_scale is \(0.0, 1.0\): it must be \(low, high\) with 0 < low <= high <= 1",
        ),
        ({"crop_scale": (0.5, 1.5)}, "crop_scale is"),
        ({"crop_scale": (0.5, 0.4)}, "crop_scale is"),
        ({"crop_scale": (0.5, float("nan"))}, "crop_scale is"),
        (
            {"crop_ratio": (0.0, 1.0)},
            r"crop_ratio is \(0.0, 1.0\): it must be \(low, high\) with 0 < low <= high",
        ),
        ({"crop_ratio": (1.0, float("inf"))}, "crop_ratio is"),
        ({"flip_probability": 1.5}, "flip_probability must be .*got 1.5"),
        ({"jitter_probability": -0.1}, "jitter_probability must be .*got -0.1"),
        ({"grayscale_probability": float("nan")}, "grayscale_probability must be .*got nan"),
        ({"blur_probability": 2.0}, "blur_probability must be .*got 2.0"),
        ({"jitter": (0.4, -0.1, 0.4, 0.1)}, "jitter is .* four strengths of at least 0"),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, "jitter is .* the hue's at most 0.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        views_of(**{"size": 32} | options)


@pytest.mark.parametrize("shape", [(3, 32, 32), (0, 3, 32, 32), (2, 3, 0, 32)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"images have the shape .* \[batch, channels, height, width\]"):
        views_of(8)(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_images_of_another_type_are_refused(dtype):
    with pytest.raises(TypeError, match=r"images are torch\.\w+: they must be uint8, or float in \[0, 1\]"):
        views_of(8)(torch.zeros(1, 3, 8, 8, dtype=dtype))
