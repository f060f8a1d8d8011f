import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from unconfound.data import Dataset
from unconfound.data.tables.pixel_rows import as_rows
from unconfound.report import write_report

VOID = {"meta", "img", "br", "hr", "input", "link"}
FOREIGN = {"use", "path"}


class Page(HTMLParser):
    """Elements with their attributes and text; fails on tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def write(tmp_path):
    def make(entries, dataset, **options):
        path = write_report(
            tmp_path / "out" / "report.html",
            entries,
            dataset,
            **{"title": "A report", "command": "unconfound demo", **options},
        )
        return Page(path.read_text(encoding="utf-8"))

    return make


def sections(page):
    return [attributes["id"] for attributes in page.all("section")]


def test_every_part_is_there_for_images_with_swaps(write, picture_data, entry):
    data = picture_data()
    page = write([entry("supervised", data), entry("simclr", data, gap=0.1, curves=False)], data)
    assert sections(page) == [
        "gap",
        "results",
        "samples",
        "neighbours",
        "maps",
        "cells",
        "groups",
        "curves",
        "run",
    ]
    assert "80.0" in page.text
    assert "[78.0, 82.0]" in page.text
    assert "a note on simclr" in page.text
    assert "by 30.0 points [28.0, 32.0] for “supervised”" in page.text
    # Five test sets by four classes, and two encoders by four queries with five neighbours each.
    assert len(page.all("img")) == 5 * 4 + 2 * 4 * 6
    assert len([svg for svg in page.all("svg") if svg["class"] == "map"]) == 4


def test_what_can_be_done_is_told_with_its_command(write, picture_data, entry):
    data = picture_data()
    told = entry("a", data)
    advice = ("To lower it: unconfound mend runs/a", "Without a command")
    page = write([replace(told, evaluation=replace(told.evaluation, advice=advice)), entry("b", data)], data)
    assert sections(page)[:3] == ["gap", "advice", "results"]
    for text in ("To lower it", "unconfound mend runs/a", "Without a command"):
        assert text in page.text
    entries = [told_of(name, entry(name, data, gap=gap)) for name, gap in (("a", 0.1), ("b", 0.3), ("c", 0.2))]
    page = write(entries, data)
    assert "unconfound mend runs/b" in page.text
    assert "unconfound mend runs/a" not in page.text
    assert "The same goes for c, a, with their own folders." in page.text


def told_of(name, entry):
    return replace(entry, evaluation=replace(entry.evaluation, advice=(f"To lower it: unconfound mend runs/{name}",)))


def test_nothing_is_loaded_from_elsewhere(write, picture_data, entry, tmp_path):
    data = picture_data()
    page = write([entry("a", data)], data)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, attributes)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/1999/xlink"}
    assert "url(http" not in text
    assert "@import" not in text


def test_it_can_be_read_by_keyboard_and_screen_reader(write, picture_data, entry):
    data = picture_data()
    page = write([entry("a", data), entry("b", data)], data, environment={"python": "3.11"})
    assert page.all("html")[0]["lang"] == "en"
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.elements}
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "href", "xlink:href", "clip-path"):
            target = re.sub(r"^url\(|\)$", "", attributes.get(name, "")).removeprefix("#")
            assert not target or target in identifiers, attributes
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in header for header in page.all("th"))
    assert all(image["alt"] for image in page.all("img"))
    assert all(drawing.get("role") == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    scrolling = [each for each in page.all("div") if each.get("class") == "scroll"]
    assert len(scrolling) == len(page.all("table"))
    assert all(each["tabindex"] == "0" and each["role"] == "region" for each in scrolling)


def test_untrusted_names_are_text(write, picture_data, entry):
    evil = "<script>alert(1)</script>\"'&$x_"
    data = picture_data(classes=2, names=[evil, "b"])
    page = write([entry(evil, data)], data, title=evil, command=evil, environment={evil: evil})
    assert page.all("script") == []
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert evil in page.all("img")[0]["alt"]


def test_one_encoder_without_background_has_no_empty_parts(write, picture_data, entry):
    data = picture_data(swaps=False)
    page = write([entry("only", data, curves=False)], data)
    assert sections(page) == ["results", "samples", "neighbours", "maps", "groups", "run"]
    assert "best" not in page.text
    assert "foregrounds of these data are not known" in page.text


def test_rows_of_a_table_are_shown_as_numbers(write, table_data, entry):
    page = write([entry("mlp", table_data)], table_data)
    assert "foregrounds" not in page.text
    assert sections(page) == ["results", "samples", "neighbours", "maps", "groups", "curves", "run"]
    assert page.all("img") == []
    assert "row 0 (query)" in page.text
    assert "column 8" in page.text
    assert "at most the first 8 columns" in page.text
    assert "column 9" not in page.text
    assert "By sex" in page.text


def test_graphs_are_drawn_and_judged_by_cross_validation(write, graph_data, entry):
    page = write([entry("dacl", graph_data), entry("random", graph_data)], graph_data)
    assert sections(page) == ["results", "samples", "neighbours", "maps", "curves", "run"]
    assert "In 10-fold cross-validation, a linear probe reaches 80.0 % [78.0, 82.0] on “dacl”" in page.text
    assert "as these data name no groups" in page.text
    assert "split into 10 folds" in page.text
    assert "repeated 5 times" in page.text
    assert "only the probe was not" in page.text
    assert "molecules, 20 samples, evaluated by cross-validation" in page.text
    assert "test" not in page.text.replace("These data have no test set.", "")
    assert "77.0" in page.text
    assert page.all("img") == []
    drawings = [svg["aria-label"] for svg in page.all("svg") if svg["class"] == "drawing"]
    # Two samples, and two encoders by two queries with five neighbours each.
    assert len(drawings) == 2 + 2 * 2 * 6
    assert drawings[0] == "ring, molecule 0: 3 nodes, 3 edges"
    assert page.text.count("3 nodes, 3 edges") >= 3
    assert len([svg for svg in page.all("svg") if svg["class"] == "map"]) == 2


def test_texts_are_shown_as_text(write, text_data, entry):
    page = write([entry("dacl", text_data)], text_data)
    assert "The first words of texts of the test set." in page.text
    assert "many words many…" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert not {"img", "script", "b"} & {tag for tag, _ in page.elements}
    assert all(cell["dir"] == "auto" for cell in page.all("td") if cell.get("class") == "text")
    assert "sample 0 (query)" in page.text
    assert "scaled" not in page.text


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (1, "each series on the scale of its own range"),
        (6, "each of the 6 channels is a line"),
        (7, "the 7 channels upwards"),
    ],
)
def test_series_are_plotted(write, series_data, entry, channels, said):
    data = series_data(channels=channels)
    page = write([entry("dacl", data)], data)
    assert said in page.text
    lines = [svg["aria-label"] for svg in page.all("svg") if svg["class"] == "drawing"]
    images = [image["alt"] for image in page.all("img")]
    shown, absent = (lines, images) if channels <= 6 else (images, lines)
    assert len(shown) == 2 + 2 * 6
    assert absent == []
    assert shown[0] == "slow, sample 0: 1 step"
    assert "2 steps" in page.text


def test_rows_of_pixels_are_images(write, picture_data, entry):
    images = picture_data(swaps=False)
    page = write([entry("mlp", images)], as_rows(images))
    assert len(page.all("img")) == 4 + 4 * 6
    assert "Images of the test set" in page.text
    assert "column" not in page.text


def test_columns_carry_the_names_that_the_data_gives_them(write, table_data, entry):
    data = Dataset(table_data.train, table_data.tests, restore={"columns": [f"feature {i}" for i in range(10)]})
    page = write([entry("mlp", data)], data)
    assert "feature 7" in page.text
    assert "column 1" not in page.text


def test_many_classes_do_not_flood_the_page(write, picture_data, entry, tmp_path):
    data = picture_data(classes=200, each=2)
    page = write([entry("a", data), entry("b", data)], data)
    legends = page.text.count("190 more")
    assert legends == 2
    assert "24 of 400 groups" in page.text
    assert "6 of 200 classes" in page.text
    assert (tmp_path / "out" / "report.html").stat().st_size < 600_000


def test_unlabelled_and_partly_embedded_data_leave_parts_out(write, picture_data, entry):
    data = picture_data(swaps=False)
    for source in (data.train, *data.tests.values()):
        source.labels = source.groups = None
    full = entry("a", picture_data(swaps=False))
    bare = type(full)(type(full.evaluation)("a", {}), {})
    page = write([bare], data)
    assert sections(page) == ["results", "samples", "run"]
    assert "no label" in page.text
    assert "NaN" not in page.text
    assert " nan" not in page.text.lower()


def test_the_same_arguments_give_the_same_page(write, picture_data, entry, tmp_path):
    data = picture_data(each=30)
    texts = []
    for _ in range(2):
        write([entry("a", data)], data)
        texts.append((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert "t-SNE" in texts[0]


def test_bad_arguments_are_refused_and_nothing_is_written(tmp_path, picture_data, entry):
    data = picture_data()
    options = {"title": "t", "command": "c"}
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match="at least one encoder"):
        write_report(path, [], data, **options)
    with pytest.raises(ValueError, match=r"share a name \(a, a\)"):
        write_report(path, [entry("a", data), entry("a", data)], data, **options)
    with pytest.raises(ValueError, match="squares has neither a test set nor labels"):
        write_report(path, [entry("a", data)], Dataset(data.train, {}), **options)
    assert list(tmp_path.iterdir()) == []


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast(write, picture_data, entry, tmp_path, scheme):
    data = picture_data()
    write([entry("a", data)], data)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)
    # The colours of text in each scheme, then those of classes.
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme] + blocks[scheme + 2]))
    contrast = lambda a, b: (max(a, b) + 0.05) / (min(a, b) + 0.05)  # noqa: E731
    for ground in ("page", "panel"):
        for name in ("ink", "muted", "accent", "good", "bad"):
            assert contrast(_luminance(colours[name]), _luminance(colours[ground])) >= 4.5, name
    for number in range(10):
        assert contrast(_luminance(colours[f"colour-{number}"]), _luminance(colours["panel"])) >= 3, number
