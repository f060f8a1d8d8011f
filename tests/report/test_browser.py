"""The page in a real browser: it fits a phone and a desk, in light and dark, and asks nobody for anything."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from unconfound.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium: install Debian's package chromium to run this test"
)

# A window cannot be narrower than 500 pixels, a frame can; and one without an address of its own may be measured.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>
<pre id="measured"></pre>
<script>
const frame = document.getElementById("frame");
frame.addEventListener("load", async () => {{
  const inner = frame.contentDocument, root = inner.documentElement;
  await Promise.all([...inner.images].map(image => image.decode().catch(() => null)));
  const measure = () => ({{ scroll: root.scrollWidth, client: root.clientWidth }});
  const closed = measure();
  inner.querySelectorAll("details").forEach(each => each.open = true);
  const focusable = [...inner.querySelectorAll("a, summary, [tabindex]")];
  const reached = focusable.filter(each => {{ each.focus(); return inner.activeElement === each; }});
  document.getElementById("measured").textContent = JSON.stringify({{
    closed, open: measure(),
    broken: [...inner.images].filter(image => !image.complete || !image.naturalWidth).length,
    images: inner.images.length,
    requests: frame.contentWindow.performance.getEntriesByType("resource")
      .map(entry => entry.name).filter(name => !name.startsWith("data:")),
    background: frame.contentWindow.getComputedStyle(inner.body).backgroundColor,
    smallest: Math.min(...[...inner.querySelectorAll("body :not(svg):not(svg *)")]
      .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
      .map(each => parseFloat(frame.contentWindow.getComputedStyle(each).fontSize))),
    smallestDrawn: Math.min(...[...inner.querySelectorAll("svg text")].map(text => {{
      const drawing = text.ownerSVGElement;
      const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
      return parseFloat(frame.contentWindow.getComputedStyle(text).fontSize) * scale;
    }})),
    unreached: focusable.length - reached.length,
  }});
}});
</script>"""


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


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_and_loads_nothing(tmp_path, picture_data, table_data, entry, width, dark):
    # A name without a place to break it is what bursts narrow pages.
    long = "an_encoder_with_a_name_that_never_seems_to_come_to_its_end"
    pictures = picture_data(classes=12)
    for data in (pictures, table_data):
        path = tmp_path / "report.html"
        write_report(
            path, [entry(long, data), entry("b", data)], data, title=long, command=f"unconfound {long}"
        )
        framed = tmp_path / "framed.html"
        framed.write_text(FRAME.format(width=width, page=html.escape(path.read_text(encoding="utf-8"))))
        dom = browse(
            framed,
            tmp_path,
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--window-size={max(width, 500)},900",
            "--virtual-time-budget=10000",
            "--dump-dom",
        )
        measured = json.loads(html.unescape(re.search(r'<pre id="measured">(.+?)</pre>', dom, re.DOTALL)[1]))
        assert measured["closed"]["scroll"] <= measured["closed"]["client"]
        assert measured["open"]["scroll"] <= measured["open"]["client"]
        assert measured["closed"]["client"] >= width - 20
        assert measured["broken"] == 0
        assert (measured["images"] > 0) == (data is pictures)
        assert measured["requests"] == []
        assert measured["unreached"] == 0
        assert measured["smallest"] >= 11
        assert measured["smallestDrawn"] >= 10
        assert (measured["background"] == "rgb(21, 23, 26)") == dark


def test_a_file_opens_by_itself(tmp_path, picture_data, entry):
    data = picture_data()
    path = write_report(tmp_path / "report.html", [entry("a", data)], data, title="t", command="c")
    picture = tmp_path / "page.png"
    browse(path, tmp_path, "--window-size=1280,900", f"--screenshot={picture}")
    assert picture.stat().st_size > 20_000
