"""The run folder of a mended encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unconfound.encoders import Card, Encoder, Projected, save_classifier, save_encoder
from unconfound.lock import alone_in
from unconfound.mending.remedies import Remedy
from unconfound.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The encoder that is mended, and where it comes from.

    Args:
        name: its run folder, or what a user called it.
        encoder: as it was before.
        card: what a run folder says of it.
        config: what the config.toml of the mended run says: that of the run, with the data that it was mended on.
    """

    name: str
    encoder: Encoder
    card: Card
    config: dict[str, Any]


def write_mended_run(
    origin: Origin, remedy: Remedy, *, out: Path, how: dict[str, Any], overwrite: bool = False
) -> None:
    """Write a run folder whose encoder includes the map, and whose classifier is the one fitted behind it.

    Args:
        origin: the encoder, which gets the map.
        remedy: what is put behind it.
        out: the new folder.
        how: what was done, which its encoder.json holds as "mended".
        overwrite: remove an earlier run in `out`.

    Raises:
        ValueError: `out` holds something else, or another process is at work there.
    """
    card, encoder = origin.card, origin.encoder
    put_behind(encoder, remedy)
    folder = RunFolder(out, overwrite=overwrite)
    with alone_in(out, folder.check):
        folder.start(origin.config)
        save_classifier(out, remedy.classifier)
        provenance = card.provenance | {"mended": how | {"from": origin.name}}
        save_encoder(out, encoder, schema=card.schema, restore=card.restore, provenance=provenance)
        folder.log(f"mended {origin.name}: {', '.join(f'{key} {value}' for key, value in how.items())}")


def put_behind(encoder: Encoder, remedy: Remedy) -> None:
    """Put the map of a remedy behind an encoder's network, as a linear layer that is saved with it."""
    if remedy.change is None:
        return
    matrix, bias = remedy.change
    encoder.wrap(Projected, features=len(matrix)).take(matrix, bias)
    encoder.eval()
