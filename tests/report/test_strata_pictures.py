from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unconfound.data import Dataset, MemorySource
from unconfound.encoders import build_encoder, load_encoder
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.strata_importance import emphasis, foreground_shares_of_strata, occlusion
from unconfound.methods import ICLMSR, SimCLR
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.report import tables, write_report
from unconfound.report.audit import audit_encoders
from unconfound.report.strata_pictures import SHOWN, look_at_strata, strata_part
from unconfound.training import TrainingOptions, fit


def _method(schema, **options):
    torch.manual_seed(0)
    encoder = build_encoder("convnet", schema, width=4, depth=2)
    return ICLMSR(encoder, schema, ICLMSROptions(strata=3, host_options=("projection_features=5",), **options)).eval()


def _with_masks(data):
    """Foregrounds are the left half."""
    source = data.tests["original"]
    source.masks = torch.zeros_like(source.masks)
    source.masks[..., :8] = True
    return source


@given(
    samples=st.integers(1, 6),
    strata=st.integers(1, 4),
    width=st.integers(1, 5),
    own=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_emphasis_is_the_share_kept_over_its_mean(samples, strata, width, own, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(samples, width, generator=generator).double()
    weights = torch.rand(*((samples,) if own else ()), strata, width, generator=generator).double()
    found = emphasis(values, weights)
    for sample in range(samples):
        kept = []
        for stratum in range(strata):
            of = weights[sample, stratum] if own else weights[stratum]
            inner = sum((float(of[d]) * float(values[sample, d])) ** 2 for d in range(width))
            kept.append(inner / sum(float(values[sample, d]) ** 2 for d in range(width)))
        for stratum in range(strata):
            assert float(found[sample, stratum]) == pytest.approx(kept[stratum] / (sum(kept) / strata))


def test_a_sample_of_zeros_is_not_emphasised():
    assert emphasis(torch.zeros(2, 3), torch.rand(4, 3)).tolist() == [[1.0] * 4] * 2


def test_occlusion_is_the_fall_of_the_emphasis():
    values, strata = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    without = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    assert occlusion(values, without, strata).tolist() == [[[[0.0, 1.0]], [[0.0, -1.0]]]]


def test_the_share_on_the_foreground_counts_what_lowers_the_emphasis():
    masks = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    masks[..., :8, :3] = True  # covers the first column of patches, and half of the second, of the upper half
    importance = torch.zeros(1, 3, 8, 8)
    importance[0, 0, 0, :3] = torch.tensor([1.0, 2.0, 1.0])
    importance[0, 1, 0, :2] = torch.tensor([-5.0, 1.0])
    assert foreground_shares_of_strata(importance, masks)[0, :2].tolist() == [0.5, 0.5]
    assert foreground_shares_of_strata(importance, masks)[0, 2].isnan()


@pytest.mark.parametrize("size", [16, 5, 19])
def test_patches_cover_an_image_of_any_size(picture_data, size):
    data = picture_data(size=max(size, 12) if size != 5 else 12)
    source = data.tests["original"]
    schema = replace(source.schema, shape=(3, size, size + 2))
    images = torch.rand(6, 3, size, size + 2)
    part = look_at_strata(_method(schema), MemorySource("any", schema, images))
    assert part.drawing
    assert part.foreground == ()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strata_on": "embedding"},
        {"strata_form": "batch-mlp"},
        {"strata_form": "sample-mlp"},
    ],
    ids=str,
)
def test_strata_of_every_form_are_drawn_and_the_method_is_left_as_it_is(picture_data, options):
    source = _with_masks(picture_data())
    method = _method(source.schema, **options)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    part = look_at_strata(method, source, prefix="of-one", batch_size=5)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert part.drawing.count("data:image/png") == 3 * SHOWN * 2
    assert set(re.findall(r'id="([^"]{6})', part.drawing)) == {"of-one"}
    assert [figure is not None and 0 <= figure.low <= figure.high <= 1 for figure in part.foreground] == [True] * 3
    assert part.area == pytest.approx(0.5)
    assert part.control.low <= part.control.value <= part.control.high
    table = tables.strata(part)
    assert [row.name for row in table.rows][2:] == ["stratum 3", "shuffled strata", "the foreground's area"]
    assert look_at_strata(method, source, prefix="of-one", batch_size=512).foreground == pytest.approx(part.foreground)


def test_contexts_before_they_are_set_are_equal_and_emphasise_no_image(picture_data):
    source = _with_masks(picture_data())
    method = _method(source.schema, strata_form="contexts")
    for batch_size in (5, 7, 512):
        part = look_at_strata(method, source, batch_size=batch_size)
        assert part.foreground == (None,) * 3
        assert part.control is None
        assert part.samples == SHOWN
        assert "cosine of pairs of the 3 strata is 1.00" in part.sentences[0]
        assert "Removing a patch never" in part.sentences[1]
        assert part.drawing.count("data:image/png") == 3 * SHOWN * 2


@given(strata=st.integers(1, 7), width=st.integers(1, 300), own=st.booleans(), seed=st.integers(0, 99))
def test_equal_strata_emphasise_all_images_equally_whatever_the_rounding(strata, width, own, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(9, width, generator=generator)
    weights = torch.rand(*((9, 1) if own else (1,)), width, generator=generator).expand(*(9,) * own, strata, width)
    assert torch.equal(emphasis(values, weights), torch.ones(9, strata, dtype=torch.float64))
    # Of one direction, too: powers of two leave the weights' digits as they are.
    found = emphasis(values, weights * 2.0 ** torch.randint(3, (strata, 1), generator=generator))
    assert torch.equal(found, found[:1].expand_as(found))


def test_strata_that_look_at_one_side_are_told_from_shuffled_ones(picture_data):
    # The left half of an image sets the first half of the dimensions, the right half the rest.
    class Method:
        rate, options = torch.zeros(()), ICLMSROptions()

        def look(self, images):
            # An image's mean colour counts for nothing.
            contrast = (images - images.mean((2, 3), keepdim=True)).abs()
            values = torch.cat([contrast[..., :8].sum((1, 3)), contrast[..., 8:].sum((1, 3))], 1)
            return values, values

        def strata(self, embeddings):
            return torch.eye(2).repeat_interleave(16, 1)

    source = _with_masks(picture_data(each=10))
    source.inputs = torch.rand(40, 3, 16, 16)
    part = look_at_strata(Method(), source)
    assert part.foreground[0].value > part.control.high > part.control.low > part.foreground[1].value
    assert "more than those: 1 of 2; less: 1." in part.sentences[1]


def test_a_single_stratum_says_that_it_adjusts_for_nothing(picture_data):
    source = _with_masks(picture_data())
    torch.manual_seed(0)
    method = ICLMSR(build_encoder("convnet", source.schema, width=4, depth=2), source.schema, ICLMSROptions(strata=1))
    part = look_at_strata(method.eval(), source)
    assert "one stratum" in part.sentences[0]
    assert "Removing a patch never" in part.sentences[1]


def test_strata_that_are_backgrounds_have_nothing_to_show(picture_data):
    source = _with_masks(picture_data())
    part = look_at_strata(_method(source.schema, strata_form="backgrounds"), source)
    assert part.sentences == (
        "The strata are the backgrounds of the training images: nothing is learnt that can be shown.",
    )
    assert part.drawing is None


@pytest.fixture
def runs(tmp_path, picture_data):
    data = picture_data()
    data = Dataset(data.train, data.tests, labelled=data.train, train_foreground=data.train)
    training = TrainingOptions(epochs=1, batch_size=12, device="cpu")
    fit(_method(data.train.schema).train(), data, out=tmp_path / "msr", training=training)
    torch.manual_seed(0)
    simclr = SimCLR(build_encoder("convnet", data.train.schema, width=4, depth=2), data.train.schema)
    fit(simclr, data, out=tmp_path / "simclr", training=training)
    return data, {name: tmp_path / name for name in ("msr", "simclr")}


def _page(data, runs, out):
    audit_encoders(
        {name: load_encoder(run) for name, run in runs.items()}, data, out=out, runs=runs, judging=Judging(device="cpu")
    )
    return (out / "report.html").read_text(encoding="utf-8")


def test_the_report_has_strata_where_a_run_has(runs, tmp_path):
    data, folders = runs
    page = _page(data, folders, tmp_path / "both")
    section = page[page.index('<section id="strata"') :].partition("</section>")[0]
    assert '<a href="#strata">Strata</a>' in page
    assert re.findall(r"<h3>(.*?)</h3>", section) == ["msr"]
    assert "mean cosine of pairs of the 3 strata" in section
    assert section.count("<svg") == 1
    assert "shuffled strata" in section
    # With and without background, each with its interval.
    cells = page[page.index('<section id="cells"') :].partition("</section>")[0]
    assert len(re.findall(r'<td[^>]*>[\d.]+.*?<span class="interval">\[[\d.]+, [\d.]+\]</span>', cells)) == 4 * 2


def test_a_run_without_checkpoint_says_so(runs, tmp_path):
    data, folders = runs
    shutil.rmtree(folders["msr"] / "checkpoint")
    page = _page(data, folders, tmp_path / "gone")
    section = page[page.index('<section id="strata"') :].partition("</section>")[0]
    assert "The strata cannot be shown" in section
    assert "no checkpoint any more" in section
    assert "<svg" not in section
    assert "Each row is a stratum" not in section


def test_other_runs_have_no_strata(runs, tmp_path, picture_data, table_data, entry):
    data, folders = runs
    assert strata_part(folders["simclr"], data.tests["original"]) is None
    assert strata_part(None, data.tests["original"]) is None
    assert strata_part(folders["msr"], table_data.tests["test"]) is None
    path = write_report(tmp_path / "report.html", [entry("a", data)], data, title="t", command="c")
    assert 'id="strata"' not in path.read_text(encoding="utf-8")
