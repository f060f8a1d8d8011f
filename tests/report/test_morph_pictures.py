import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.encoders import Morphed, build_encoder
from unconfound.report.morph_pictures import SHOWN, morph_part


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def morphing(schema):
    torch.manual_seed(0)
    encoder = build_encoder("convnet", schema, width=4, depth=2)
    encoder.wrap(Morphed)
    return encoder


def test_masks_and_morphed_images_are_those_of_the_encoder(picture_data):
    source = picture_data().tests["original"]
    encoder = morphing(source.schema).train()
    part = morph_part(encoder, source)
    assert encoder.training
    encoder.eval()
    assert len(part.shown) == SHOWN
    for each in part.shown:
        place = int(each.sample.name.split()[1])
        with torch.no_grad():
            morphed, mask = encoder.wrapper(Morphed).morph(source.inputs[place : place + 1])
        np.testing.assert_allclose(pixels(each.mask), 255 * mask[0, 0].numpy(), atol=0.51)
        np.testing.assert_allclose(pixels(each.morphed), 255 * morphed[0].permute(1, 2, 0).numpy(), atol=0.51)
        assert (each.lowest, each.mean, each.highest) == pytest.approx(
            (float(mask.min()), float(mask.mean()), float(mask.max()))
        )


@pytest.mark.parametrize(("classes", "each", "expected"), [(4, 6, 3), (5, 6, None), (20, 2, 1), (2, 3, 3)])
def test_a_dozen_samples_are_the_first_of_each_class(picture_data, classes, each, expected):
    source = picture_data(classes=classes, each=each).tests["original"]
    shown = [int(morph.sample.name.split()[1]) for morph in morph_part(morphing(source.schema), source).shown]
    assert len(shown) == len(set(shown)) == min(SHOWN, classes * each)
    counts = torch.bincount(source.labels[shown], minlength=classes)
    assert counts.max() - counts[counts > 0].min() <= 1
    if expected:
        assert counts.max() == expected
    # Labels go round and round, so that the first of each class are the first of all.
    assert classes >= SHOWN or sorted(shown) == list(range(len(shown)))


def test_nothing_without_a_morpher_or_images(picture_data, table_data):
    source = picture_data().tests["original"]
    assert morph_part(build_encoder("convnet", source.schema, width=4, depth=2), source) is None
    assert morph_part(morphing(source.schema), table_data.tests["test"]) is None
