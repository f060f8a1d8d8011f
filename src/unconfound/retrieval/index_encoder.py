"""The encoder of an index: a copy of that of a run, and the fingerprint that tells it from others."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from unconfound.encoders import read_card
from unconfound.files import atomic

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


def copy_encoder(run: Path, folder: Path) -> tuple[str, str]:
    """Copy the encoder of a run into an index, so that the index needs the run no longer.

    Returns:
        The name of the encoder's folder in the index, and its fingerprint.
    """
    fingerprint = encoder_fingerprint(run)
    target = folder / f"encoder-{fingerprint[:16]}"
    if not _holds(target, fingerprint):
        target.mkdir(exist_ok=True)
        for file in FILES:
            with atomic(target / file) as temporary:
                shutil.copyfile(run / file, temporary)
    return target.name, fingerprint


def _holds(folder: Path, fingerprint: str) -> bool:
    try:
        return encoder_fingerprint(folder) == fingerprint
    except (FileNotFoundError, ValueError):
        return False
