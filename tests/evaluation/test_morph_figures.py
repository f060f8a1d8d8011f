from __future__ import annotations

import pytest
import torch
from scipy import stats

from unconfound.data import MemorySource, Schema
from unconfound.encoders import Encoder, Morphed, build_encoder
from unconfound.evaluation.morph_figures import mask_means, morph_figures


def images(samples: int = 5, *, masks: bool = True) -> MemorySource:
    generator = torch.Generator().manual_seed(0)
    schema = Schema("images", (3, 16, 16), ("a", "b"))
    inputs = torch.randint(0, 256, (samples, 3, 16, 16), generator=generator, dtype=torch.uint8)
    known = torch.rand(samples, 1, 16, 16, generator=generator) < 0.3
    return MemorySource("images", schema, inputs, torch.arange(samples) % 2, masks=known if masks else None)


def morphing(schema: Schema) -> Encoder:
    torch.manual_seed(0)
    encoder = build_encoder("convnet", schema, width=4, depth=2)
    encoder.wrap(Morphed, mask_channels=3)
    return encoder


def test_means_are_those_of_plain_loops() -> None:
    source = images()
    encoder = morphing(source.schema).eval()
    with torch.no_grad():
        mask = encoder.wrapper(Morphed).morph(source.inputs)[1].double()
    on, off = [], []
    for image in range(5):
        sums = {True: [0.0, 0], False: [0.0, 0]}
        for row in range(16):
            for column in range(16):
                held = sums[bool(source.masks[image, 0, row, column])]
                held[0] += float(mask[image, :, row, column].mean())
                held[1] += 1
        on.append(sums[True][0] / sums[True][1])
        off.append(sums[False][0] / sums[False][1])
    figures = morph_figures(encoder, source, batch_size=2)
    for name, values in (("mask_foreground", on), ("mask_background", off)):
        low, high = stats.t.interval(0.95, 4, loc=torch.tensor(values).mean(), scale=stats.sem(values))
        assert figures[name].value == pytest.approx(sum(values) / 5, abs=1e-6)
        assert (figures[name].low, figures[name].high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))
    paired = stats.ttest_rel(on, off).confidence_interval(0.95)
    assert figures["mask_difference"].low == pytest.approx(paired.low, abs=1e-6)
    assert figures["mask_difference"].high == pytest.approx(paired.high, abs=1e-6)


def test_images_without_foreground_or_background_count_nowhere() -> None:
    source = images()
    source.masks[0], source.masks[1] = True, False
    figures = morph_figures(morphing(source.schema), source)
    assert {figure.samples for figure in figures.values()} == {3}
    source.masks[:] = True
    assert morph_figures(morphing(source.schema), source) == {}
    on, off = mask_means(torch.full((2, 1, 2, 2), 0.5), torch.tensor([[[[1.0, 1], [1, 1]]], [[[0.5, 0], [0, 0]]]]))
    assert on.tolist() == [0.5, 0.5]
    assert off[0].isnan()
    assert off[1] == 0.5


def test_nothing_without_a_morpher_or_without_masks() -> None:
    source = images()
    plain = build_encoder("convnet", source.schema, width=4, depth=2)
    assert (
        morph_figures(lambda inputs: inputs, source)
        == morph_figures(plain, source)
        == morph_figures(morphing(source.schema), images(masks=False))
        == {}
    )


def test_the_encoder_is_left_as_it_was() -> None:
    source = images()
    encoder = morphing(source.schema).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert morph_figures(encoder, source, precision="bf16")["mask_foreground"].samples == 5
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
