"""Published weights that are in a cache, and one line at once where they are not and the network is not there."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from unconfound.extras import require

PATIENCE = 5.0  # seconds for the first answer of the host


def cached_weights(name: str) -> Path | None:
    """Return the safetensors file of a model of timm in the cache of huggingface_hub, None where it is not there."""
    config = _timm_config(name)
    folder = _repository(config)
    if folder is None or config.custom_load:
        return None
    # The revision that was fetched last, as `main` has it.
    head = folder / "refs" / "main"
    snapshot = folder / "snapshots" / (head.read_text().strip() if head.is_file() else "none")
    wanted = Path(config.hf_hub_filename or "model.safetensors").with_suffix(".safetensors")
    # Of a file open_clip_pytorch_model.bin, the safetensors have this name or another.
    files = (snapshot / wanted, snapshot / "open_clip_model.safetensors", snapshot / "model.safetensors")
    return next((file for file in files if file.is_file()), None)


def published_size(name: str) -> int | None:
    """Return the side of the images that the weights of a model of timm are for, None where there are none."""
    config = _timm_config(name)
    return None if config is None else int(config.input_size[-1])


def check_weights_at_hand(name: str) -> None:
    """Refuse a model whose weights are neither in a cache nor to be had, before libraries try for most of a minute.

    Args:
        name: of a ResNet of torchvision or a model of timm that has published weights.

    Raises:
        FileNotFoundError: in one line, which weights, and what to do.
        ValueError: there are none, or timm knows no such model.
    """
    if name in ("resnet18", "resnet34", "resnet50"):
        models = require("torchvision.models", extra="images")
        url = str(models.get_model_weights(name).DEFAULT.url)
        cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
        what, at_hand = f"{url.rsplit('/', 1)[1]} of torchvision", cached.is_file()
    else:
        config = _timm_config(name)
        folder = _repository(config)
        if folder is None and not config.url:
            raise ValueError(
                f"there are no published weights for {name!r}: leave --pretrained out, or name a file of weights"
            )
        hub = require("huggingface_hub", extra="images")
        url = config.url if folder is None else f"{hub.constants.ENDPOINT}/{config.hf_hub_id}"
        at_hand = folder is not None and any(
            file.suffix in (".safetensors", ".bin", ".npz") for file in folder.glob("snapshots/*/*")
        )
        if config.url:
            at_hand |= (Path(torch.hub.get_dir()) / "checkpoints" / config.url.rsplit("/", 1)[1]).is_file()
        what = str(config.hf_hub_id or config.url)
    if at_hand:
        return
    reason = _unreachable(url)
    if reason:
        raise FileNotFoundError(
            f"the published weights of {name} are not at hand: {what} is in no cache, and {url.split('/')[2]} cannot "
            f"be reached ({reason}); give a .safetensors file that was fetched elsewhere (--from of fit, --weights of "
            "audit and mend)"
        )


def _timm_config(name: str) -> Any:
    """Return what timm knows of published weights.

    Raises:
        ValueError: timm knows no such model.
    """
    models = require("timm.models", extra="images")
    if not models.is_model(name):
        near = get_close_matches(name, models.list_models(), n=3)
        raise ValueError(f"unknown encoder {name!r}" + (f"; nearest: {', '.join(near)}" if near else ""))
    return models.get_pretrained_cfg(name)


def _repository(config: Any) -> Path | None:
    """Return where huggingface_hub keeps the files of a model, None where it is not from there."""
    if not config.hf_hub_id:
        return None
    hub = require("huggingface_hub", extra="images")
    return Path(hub.constants.HF_HUB_CACHE) / f"models--{config.hf_hub_id.replace('/', '--')}"


def _unreachable(url: str) -> str:
    """Return why a host does not answer, nothing where it does."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true") and "huggingface" in url:
        return "HF_HUB_OFFLINE is set"
    try:
        # Any answer will do, and proxies of the environment are asked.
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE):
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
