"""Draw docs/images/demo.png from a finished demo: the test digits, and what each encoder recognises of them.

python -m benchmarks.demo_picture [runs/demo] [docs/images/demo.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from unconfound.data import Dataset
from unconfound.data.load import DataOptions, load_dataset
from unconfound.evaluation.figures import Evaluation, read_evaluation

SHOWN = {
    "simclr": "SimCLR\nno labels",
    "supervised": "supervised",
    "mended": "supervised,\nmended",
    "label-free": "label-free",
}
CURED = ("mended", "label-free")
SETS = {"mixed-same": ("own class's scene", "#2d69b0"), "mixed-rand": ("random scene", "#d0602c")}
DIGITS = 6


def main() -> None:
    folder, picture = (
        Path(given) for given in (*sys.argv[1:], *("runs/demo", "docs/images/demo.png")[len(sys.argv) - 1 :])
    )
    found = {each.name: each for each in read_evaluation(folder / "evaluation.json")}
    figure = plt.figure(figsize=(12.2, 4.4))
    left, right = figure.subfigures(1, 2, width_ratios=(0.47, 0.53))
    _draw_digits(left, load_dataset(DataOptions(data="demo")))
    _draw_bars(right.subplots(), found)
    right.subplots_adjust(left=0.08, right=0.98, bottom=0.2, top=0.8)
    figure.savefig(picture, dpi=100)
    print(f"the picture is in {picture}")


def _draw_digits(part: SubFigure, dataset: Dataset) -> None:
    part.text(0.04, 0.94, "The same test digits on two backgrounds", weight="bold", size=12)
    labels = dataset.tests["original"].labels
    assert labels is not None
    places = [int((labels == digit).nonzero()[0]) for digit in (1, 4, 5, 7, 2, 9)]
    for row, (name, (words, colour)) in enumerate(SETS.items()):
        part.text(0.04, 0.66 - 0.33 * row, name, weight="bold", size=12, color=colour)
        part.text(0.04, 0.59 - 0.33 * row, words, size=10, color="#555555")
        for column, place in enumerate(places):
            axes = part.add_axes((0.285 + 0.12 * column, 0.5 - 0.33 * row, 0.115, 0.28))
            axes.imshow(dataset.tests[name].inputs[place].permute(1, 2, 0))  # type: ignore[attr-defined]
            axes.axis("off")


def _draw_bars(axes: Axes, found: dict[str, Evaluation]) -> None:
    for place, name in enumerate(SHOWN):
        evaluation = found[name]
        for offset, (test, (_, colour)) in zip((-0.2, 0.2), SETS.items(), strict=True):
            figures = evaluation.tests[test]
            figure = figures.get("classifier", figures["linear_probe"])
            value, low, high = (100 * each for each in (figure.value, figure.low, figure.high))
            axes.bar(place + offset, value, width=0.38, color=colour, label=test if place == 0 else None)
            axes.plot([place + offset] * 2, [low, high], color="#333333", linewidth=1.4)
            axes.text(place + offset, high + 1.5, f"{value:.0f}", ha="center", size=11)
    axes.axhline(10, color="#777777", linestyle=":", linewidth=1.2)
    axes.text(len(SHOWN) - 0.45, 11.5, "chance", ha="right", size=9, color="#555555")
    # A line between the encoders as usual and those that are cured.
    axes.axvline(len(SHOWN) - len(CURED) - 0.5, color="#bbbbbb", linewidth=1.2)
    axes.text((len(SHOWN) - len(CURED) - 1) / 2, 104, "as usual", ha="center", size=11, color="#555555")
    axes.text(len(SHOWN) - len(CURED) / 2 - 0.5, 104, "without the background", ha="center", size=11, color="#555555")
    axes.set_xticks(range(len(SHOWN)), SHOWN.values())
    axes.set_xlim(-0.5, len(SHOWN) - 0.4)
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Accuracy (%)", weight="bold", size=12, loc="left", pad=26)
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.06))


if __name__ == "__main__":
    main()
