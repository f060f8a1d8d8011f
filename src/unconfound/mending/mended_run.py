"""The run folder of a mended encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from unconfound.encoders import Encoder, Projected, load_encoder, read_card, save_classifier, save_encoder
from unconfound.lock import FolderLock
from unconfound.mending.remedies import Remedy
from unconfound.training.run_folder import RunFolder


def write_mended_run(
    run: Path,
    remedy: Remedy,
    *,
    out: Path,
    config: dict[str, Any],
    how: dict[str, Any],
    overwrite: bool = False,
) -> None:
    """Write a run folder whose encoder includes the map, and whose classifier is the one fitted behind it.

    Args:
        run: the folder of the encoder that is mended.
        remedy: what is put behind it.
        out: the new folder.
        config: what its config.toml says: that of the run, with the data that it was mended on.
        how: what was done, which its encoder.json holds as "mended".
        overwrite: remove an earlier run in `out`.

    Raises:
        ValueError: `out` holds something else, or another process is at work there.
    """
    card, encoder = read_card(run), load_encoder(run)
    put_behind(encoder, remedy)
    folder = RunFolder(out, overwrite=overwrite)
    folder.check()
    out.mkdir(parents=True, exist_ok=True)
    with FolderLock(out):
        # By now another process may have written there.
        folder.check()
        folder.start(config)
        save_classifier(out, remedy.classifier)
        provenance = card.provenance | {"mended": how | {"from": str(run)}}
        save_encoder(out, encoder, schema=card.schema, restore=card.restore, provenance=provenance)
        folder.log(f"mended {run}: {', '.join(f'{key} {value}' for key, value in how.items())}")


def put_behind(encoder: Encoder, remedy: Remedy) -> None:
    """Put the map of a remedy behind an encoder's network, as a linear layer that is saved with it."""
    if remedy.change is None:
        return
    matrix, bias = remedy.change
    linear = encoder.wrap(Projected, features=len(matrix)).projection[-1]
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.copy_(matrix)
        linear.bias.copy_(bias)
    encoder.eval()
