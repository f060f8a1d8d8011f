from __future__ import annotations

import numpy as np

import unconfound
from unconfound.recipes import read_recipe


def test_a_run_on_estimated_masks_is_evaluated_on_swapped_backgrounds_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(20, 40, (40, 16, 16, 3), dtype=np.uint8)
    for sample in range(40):
        images[sample, 3 + sample % 5 : 8 + sample % 5, 3 + sample // 8 : 8 + sample // 8] = 200
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    fitted = unconfound.fit(
        "random", data=tmp_path / "a.npz", masks="estimate", encoder="convnet", width=4, depth=1, out=tmp_path / "run"
    )
    assert read_recipe(str(fitted.run / "config.toml")).sections["data"]["masks"] == "estimate"
    (evaluation,) = unconfound.evaluate(fitted.run)
    assert {"mixed-same", "mixed-rand"} <= set(evaluation.tests)
    said = "all masks are estimated from the images; estimated masks are usable here"
    assert evaluation.notes[-1].startswith(said)
    assert said in (fitted.run / "report.html").read_text(encoding="utf-8")
