"""What a page says of a run and of the machine, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unconfound.data import Schema
from unconfound.encoders import read_card
from unconfound.evaluation.measures import METRICS


def machine_facts(machine: Mapping[str, Any]) -> dict[str, str]:
    """Write what `training.run_folder.machine` found in words."""
    return {
        "python": machine["python"],
        **{f"{name} (package)": version for name, version in machine["packages"].items()},
        "processor": f"{machine['processor']}, {machine['cores']} cores",
        "GPUs": ", ".join(machine["gpus"]) or "none",
        "git": machine["git"] or "not in a checkout",
    }


def run_facts(run: Path | None) -> dict[str, str]:
    """Say how an encoder was trained, as far as its run folder says it."""
    if run is None:
        return {}
    card = read_card(run)
    told = card.provenance
    training = told.get("training", {})
    facts = {
        "method": told.get("method"),
        "started from": _started(told.get("start")),
        "mended": _mended(told.get("mended")),
        "encoder": f"{card.architecture['name']} on {_taken(card.schema)}",
        "weights": f"{told['weights']:,}" if "weights" in told else None,
        "training samples": f"{told['data']['samples']:,} of {told['data']['name']}" if "data" in told else None,
        "epochs": training.get("epochs") if told.get("trained") else "none",
        "encoder kept": _kept(told.get("kept")),
        "batch size": told.get("batch_size"),
        "optimizer": training.get("optimizer") if told.get("trained") else None,
        "seed": training.get("seed"),
        "training time": f"{told['seconds']:,.0f} s" if "seconds" in told else None,
        "options": ", ".join(f"{key} {value}" for key, value in told.get("options", {}).items()),
    }
    return {key: str(value) for key, value in facts.items() if value not in (None, "")}


def _started(start: Mapping[str, Any] | None) -> str | None:
    """Say what an encoder's first weights were, and what those had started from."""
    if not start:
        return None
    trained = f", by {start['method']} on {start['data']}" if "method" in start and "data" in start else ""
    earlier = _started(start.get("start"))
    return f"{start['from']}{trained}, weights {start['sha256'][:12]}" + (f"; before that {earlier}" if earlier else "")


def _mended(mended: Mapping[str, Any] | None) -> str | None:
    """Say how an encoder was mended, and which one."""
    if not mended:
        return None
    settings = [f"{key} {value}" for key, value in mended.items() if key not in ("way", "from")]
    return ", ".join([f"{mended['way']} of {mended['from']}", *settings])


def _kept(kept: Mapping[str, Any] | None) -> str | None:
    """Say which epoch's encoder it is, where it was chosen."""
    if not kept:
        return None
    return f"that of epoch {kept['epoch']}, by {METRICS[kept['by']].title} on the validation part"


def _taken(schema: Schema) -> str:
    """Return what an encoder takes, in words."""
    sizes = " x ".join(f"{size:,}" for size in schema.shape)
    return {
        "images": sizes,
        "tables": f"rows of {sizes}",
        "graphs": f"graphs of {sizes} node features",
        "text": f"text of {sizes} tokens",
        "series": f"series of {sizes} channels",
    }[schema.modality]
