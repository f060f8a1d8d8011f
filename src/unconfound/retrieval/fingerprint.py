"""What tells one encoder from another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from unconfound.encoders import read_card

FILES = ("encoder.safetensors", "encoder.json")


def encoder_fingerprint(folder: Path) -> str:
    """Return the SHA-256 of all that an embedding depends on: the weights, and how data are read and encoded.

    What `encoder.json` says of the encoder's training is no part of it.

    Args:
        folder: a run folder, or any folder with an encoder's two files.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: `encoder.json` is damaged.
    """
    card = read_card(folder)
    weights = folder / FILES[0]
    if not weights.is_file():
        raise FileNotFoundError(f"{folder} holds no {FILES[0]}: give the folder of a finished run")
    said = asdict(card)
    del said["provenance"]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    with weights.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
