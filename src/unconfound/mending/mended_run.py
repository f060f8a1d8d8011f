"""The run folder of a mended encoder, or what is put behind an encoder that cannot be saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unconfound.encoders import Encoder, Projected, save_classifier, save_encoder
from unconfound.lock import alone_in
from unconfound.mending.remedies import Remedy
from unconfound.mending.saved_remedy import save_remedy
from unconfound.mending.subject import Subject
from unconfound.training.run_folder import RunFolder


def write_mended(
    subject: Subject,
    remedy: Remedy,
    *,
    out: Path,
    how: dict[str, Any],
    classes: Sequence[str],
    overwrite: bool = False,
) -> None:
    """Write a run whose encoder includes the map, and whose classifier is the one fitted behind it.

    Where the encoder cannot be saved, the map and the classifier alone are written, for `load_remedy`.

    Args:
        subject: what is mended; its encoder gets the map.
        remedy: what is put behind it.
        out: the new folder.
        how: what was done, which the folder holds as "mended".
        classes: the names of those that the classifier tells apart.
        overwrite: remove an earlier run or remedy in `out`.

    Raises:
        ValueError: `out` holds something else, or another process is at work there.
    """
    done = how | {"from": subject.name}
    if subject.origin is None:
        save_remedy(out, remedy, classes=classes, how=done, overwrite=overwrite)
        return
    origin = subject.origin
    put_behind(origin.encoder, remedy)
    folder = RunFolder(out, overwrite=overwrite)
    with alone_in(out, folder.check):
        folder.start(origin.config)
        save_classifier(out, remedy.classifier)
        provenance = origin.card.provenance | {"mended": done}
        save_encoder(out, origin.encoder, schema=origin.card.schema, restore=origin.card.restore, provenance=provenance)
        folder.log(f"mended {subject.name}: {', '.join(f'{key} {value}' for key, value in how.items())}")


def put_behind(encoder: Encoder, remedy: Remedy) -> None:
    """Put the map of a remedy behind an encoder's network, as a linear layer that is saved with it."""
    if remedy.change is None:
        return
    matrix, bias = remedy.change
    encoder.wrap(Projected, features=len(matrix)).take(matrix, bias)
    encoder.eval()
