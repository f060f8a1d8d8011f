from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from unconfound.encoders.resnet import ResNet, stem_for


@pytest.mark.parametrize(
    ("side", "stem"), [(8, "cifar"), (32, "cifar"), (40, "cifar"), (41, "small"), (64, "small"), (96, "small")]
)
def test_small_images_get_small_stems(side, stem):
    assert stem_for(side) == stem


@pytest.mark.parametrize("side", [97, 128, 224])
def test_large_images_get_the_published_stem(side):
    assert stem_for(side) == "imagenet"


@pytest.mark.parametrize(
    ("stem", "kernel", "pooled", "resolution"),
    [("cifar", 3, False, 8), ("small", 3, True, 4), ("imagenet", 7, True, 2)],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_stem_decides_how_much_of_the_image_is_left(stem, kernel, pooled, resolution, channels):
    network = ResNet("resnet18", channels, stem=stem)
    first = network.network.conv1
    assert (first.in_channels, first.kernel_size) == (channels, (kernel, kernel))
    assert isinstance(network.network.maxpool, nn.MaxPool2d) == pooled
    sizes = []
    network.network.layer4.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    assert network(torch.rand(2, channels, 64, 64)).shape == (2, 512)
    assert sizes == [resolution]


def test_the_rest_is_torchvision_s():
    torch.manual_seed(0)
    ours = ResNet("resnet18", 3).eval()
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18().eval()
    theirs.fc = nn.Identity()
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))
