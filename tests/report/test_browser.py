"""The page in a real browser: it fits a phone and a desk, in light and dark, and asks nobody for anything."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unconfound.data import Dataset
from unconfound.encoders import build_encoder
from unconfound.methods import DCML
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.report import write_report
from unconfound.report.attention_maps import attention_part
from unconfound.report.environment_sheets import look_at_environments

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium: install Debian's package chromium to run this test"
)

# A window cannot be narrower than 500 pixels, a frame can; and one without an address of its own may be measured.
FRAME = r"""<!doctype html><meta charset="utf-8"><body style="margin:0">
<pre id="measured"></pre>
<script>
function measure(frame) {{
  const inner = frame.contentDocument, root = inner.documentElement;
  const style = each => frame.contentWindow.getComputedStyle(each);
  const excess = () => root.scrollWidth - root.clientWidth;
  const closed = excess();
  inner.querySelectorAll("details").forEach(each => each.open = true);
  const focusable = [...inner.querySelectorAll("a, summary, [tabindex]")];
  const written = [...inner.querySelectorAll("body :not(svg):not(svg *)")]
    .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
  const lines = (node, word) => {{
    const range = inner.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    return new Set([...range.getClientRects()].map(each => Math.round(each.top))).size;
  }};
  // A line may end at a hyphen, but not behind those of a flag; names as long as a line must be broken somewhere.
  const torn = written.flatMap(each => [...each.childNodes].filter(node => node.nodeType === 3))
    .flatMap(node => [...node.textContent.matchAll(/\S+/g)].filter(word =>
      word[0].length < 13 && (word[0].startsWith("--") || !word[0].includes("-")) && lines(node, word) > 1))
    .map(word => word[0]);
  const drawn = text => parseFloat(style(text).fontSize)
    * text.ownerSVGElement.getBoundingClientRect().width / text.ownerSVGElement.viewBox.baseVal.width;
  document.getElementById("measured").textContent = JSON.stringify({{
    excess: Math.max(closed, excess()),
    width: root.clientWidth,
    images: inner.images.length,
    broken: [...inner.images].filter(image => !image.complete || !image.naturalWidth).length,
    requests: frame.contentWindow.performance.getEntriesByType("resource")
      .map(entry => entry.name).filter(name => !name.startsWith("data:")),
    background: style(inner.body).backgroundColor,
    smallest: Math.min(...written.map(each => parseFloat(style(each).fontSize))),
    smallestDrawn: Math.min(...[...inner.querySelectorAll("svg text")].map(drawn)),
    torn: torn,
    unreached: focusable.filter(each => {{ each.focus(); return inner.activeElement !== each; }}).length,
  }});
}}
</script>
<iframe style="border:0;width:{width}px;height:900px" onload="measure(this)" srcdoc="{page}"></iframe>"""


def browse(page: Path, folder: Path, *options: str) -> str:
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
        ),
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def measure(text: str, folder: Path, *, width: int, dark: bool = False) -> dict[str, Any]:
    framed = folder / "framed.html"
    framed.write_text(FRAME.format(width=width, page=html.escape(text)), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    window = f"--window-size={max(width, 500)},900"
    dom = browse(framed, folder, scheme, window, "--dump-dom")
    found = re.search(r'<pre id="measured">(.+?)</pre>', dom, re.DOTALL)
    assert found, dom[:2000]
    return json.loads(html.unescape(found[1]))


@pytest.fixture(params=["images", "tables", "graphs", "text", "lines", "spectrograms"])
def data(request, picture_data, table_data, graph_data, text_data) -> Dataset:
    if request.param in ("lines", "spectrograms"):
        return request.getfixturevalue("series_data")(channels=2 if request.param == "lines" else 9)
    others = {"tables": table_data, "graphs": graph_data, "text": text_data}
    return others.get(request.param) or picture_data(classes=12)


@pytest.fixture
def page(data, tmp_path, entry) -> str:
    # A name without a place to break it is what bursts narrow pages.
    long = "an_encoder_with_a_name_that_never_seems_to_come_to_its_end"
    entries = [entry(long, data), entry("b", data)]
    path = write_report(tmp_path / "report.html", entries, data, title=long, command=f"unconfound {long}")
    return path.read_text(encoding="utf-8")


SIZES = pytest.mark.parametrize(("width", "dark"), [(360, False), (1280, True)], ids=["phone-light", "desk-dark"])


@SIZES
def test_the_page_fits_and_loads_nothing(page, tmp_path, width, dark):
    measured = measure(page, tmp_path, width=width, dark=dark)
    assert measured["excess"] <= 0
    assert measured["width"] >= width - 20
    assert measured["broken"] == 0
    assert measured["images"] == page.count("<img ")
    assert measured["requests"] == []
    assert measured["unreached"] == 0
    assert measured["torn"] == []
    assert measured["smallest"] >= 11
    assert measured["smallestDrawn"] >= 10
    assert (measured["background"] == "rgb(21, 23, 26)") == dark


@SIZES
def test_environments_and_attention_fit(picture_data, tmp_path, entry, width, dark):
    data = picture_data(classes=12)
    torch.manual_seed(0)
    encoder = build_encoder("convnet", data.train.schema, width=4, depth=2)
    method = DCML(encoder, data.train.schema, DCMLOptions(environments=3, features=5, augment=False)).eval()
    method.environment_logits = torch.randn(len(data.train), 3)
    shown = replace(
        entry("a", data),
        parts={
            "environments": look_at_environments(method, data.train),
            "attention": attention_part(encoder, data.tests["original"]),
        },
    )
    path = write_report(tmp_path / "report.html", [shown], data, title="t", command="c")
    measured = measure(path.read_text(encoding="utf-8"), tmp_path, width=width, dark=dark)
    assert measured["excess"] <= 0
    assert measured["broken"] == 0
    assert measured["unreached"] == 0
    assert measured["smallest"] >= 11


def test_the_measurement_notices_what_is_too_wide_or_broken(tmp_path):
    page = '<meta charset="utf-8"><p style="width:700px">wide</p><img src="data:image/png;base64,AAAA" alt="">'
    measured = measure(page, tmp_path, width=360)
    assert measured["excess"] > 300
    assert measured["broken"] == 1


def test_a_file_opens_by_itself(tmp_path, picture_data, entry):
    data = picture_data()
    path = write_report(tmp_path / "report.html", [entry("a", data)], data, title="t", command="c")
    picture = tmp_path / "page.png"
    browse(path, tmp_path, "--window-size=1280,900", f"--screenshot={picture}")
    assert picture.stat().st_size > 20_000
