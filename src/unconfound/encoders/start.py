"""What an encoder may start from, found by what the user names; no weights are read yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from unconfound.documents import one_line, read_json
from unconfound.encoders.build import OWN_ENCODERS, SIZED
from unconfound.encoders.saved import Architecture, Card, read_card
from unconfound.extras import require
from unconfound.options.encoders import SIZES, EncoderOptions
from unconfound.records import record, shown

HUB = "hf-hub:"
# The two files of a model of timm on the Hugging Face Hub.
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Start:
    """What an encoder starts from.

    Args:
        source: as the user named it.
        card: that of a run; None: the weights were published.
        file: of the weights; None: timm or torchvision has those of `model`.
        model: the name of the network; empty where the user must say which it is.
        scale: mean and deviation of the images that published weights are for, where the folder of the file says so.
    """

    source: str
    card: Card | None = None
    file: Path | None = None
    model: str = ""
    scale: dict[str, tuple[float, ...]] = field(default_factory=dict)


def find_start(source: str) -> Start:
    """Find what an encoder is to start from.

    Args:
        source: a run folder, a .safetensors file, the name of a published model, or "hf-hub:" with the name of one of
            timm's on the Hugging Face Hub or the path of such a folder.

    Raises:
        FileNotFoundError: nothing is there, or a folder holds no encoder.
        ValueError: a file is damaged, or nothing that an encoder could start from.
    """
    if source.startswith(HUB):
        name = source.removeprefix(HUB)
        return _model_folder(source, Path(name)) if Path(name).is_dir() else _of_hub(source, name)
    path = Path(source)
    if path.is_dir():
        has_model = (path / _CONFIG).is_file() and not (path / "config.toml").is_file()
        return _model_folder(source, path) if has_model else _of_run(source, path)
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise FileNotFoundError(f"there is no file of weights {source}: give a .safetensors file or a run folder")
        if path.name == "encoder.safetensors" and (path.parent / "encoder.json").is_file():
            return _of_run(source, path.parent)
        in_folder = path.name == _WEIGHTS and (path.parent / _CONFIG).is_file()
        return _model_folder(source, path.parent) if in_folder else Start(source=source, file=path)
    if path.is_file():
        raise ValueError(
            f"{source} is no .safetensors file: give a run folder, or convert it with safetensors.torch.save_file"
        )
    _check_model(source)
    return Start(source=source, model=source)


def check_options(start: Start, options: EncoderOptions) -> None:
    """Refuse options of the encoder that contradict what it starts from.

    Raises:
        ValueError: in one line, which one; or the network of a file is not named.
    """
    source = start.source
    if start.card is None:
        if start.file is not None and not start.model and options.encoder == "auto":
            raise ValueError(
                f"{source} holds weights and no network: name the network by --encoder, or give the run folder"
            )
        if start.model and options.encoder not in ("auto", start.model):
            raise ValueError(f"--encoder {options.encoder} is not the network of {source}: leave --encoder out")
        return
    own = record(Architecture, start.card.architecture)
    if options.encoder not in ("auto", own.name):
        raise ValueError(
            f"{source} is a {own.name}, not {options.encoder}: leave --encoder {options.encoder} out, or say auto "
            "where a recipe brings it"
        )
    for name in SIZES:
        asked, has = getattr(options, name), getattr(own, name)
        if asked is not None and asked != has:
            default = "its default" if has is None else has
            raise ValueError(f"--{name} {asked} is not that of {source} ({default}): leave --{name} out")


def _of_run(source: str, run: Path) -> Start:
    return Start(source=source, card=read_card(run), file=run / "encoder.safetensors")


def _model_folder(source: str, folder: Path) -> Start:
    """Read what a folder of a model says, as timm writes it for the Hugging Face Hub."""
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no {name}: give the folder of a run, or of a model of timm's")
    return _described(source, folder / _CONFIG, folder / _WEIGHTS)


def _of_hub(source: str, name: str) -> Start:
    """Find the files of a model of the hub, in the cache if they are there."""
    hub = require("huggingface_hub", extra="images")
    revision: dict[str, str] = {}
    if "@" in name:
        name, revision["revision"] = name.split("@", 1)
    found = []
    try:
        for file in (_CONFIG, _WEIGHTS):
            cached = hub.try_to_load_from_cache(name, file, **revision)
            found.append(Path(cached if isinstance(cached, str) else hub.hf_hub_download(name, file, **revision)))
    except (OSError, ValueError) as error:  # the library's own errors are of these kinds
        raise ValueError(
            f"{source} is neither in the cache of the Hugging Face Hub nor to be had from it ({one_line(error)}): "
            f"check the name, connect once, or give {HUB}FOLDER with its {_CONFIG} and {_WEIGHTS}"
        ) from error
    return _described(source, *found)


def _described(source: str, config: Path, weights: Path) -> Start:
    said = read_json(config, remedy="download it anew")
    model = said.get("architecture") if isinstance(said, dict) else None
    if not isinstance(model, str):
        raise ValueError(f"{config} names no architecture: {source} is no model of timm's, whose files say it")
    if said.get("model_args"):
        raise ValueError(
            f"{source} is {model} with arguments of its own ({shown(said['model_args'])}), which an encoder of ours "
            "cannot be made with: take a model without"
        )
    _check_model(model)
    published: Any = said.get("pretrained_cfg", said)
    scale = {
        kind: tuple(published[name])
        for kind, name in (("mean", "mean"), ("deviation", "std"))
        if isinstance(published, dict) and isinstance(published.get(name), list)
    }
    return Start(source=source, file=weights, model=model, scale=scale)


def _check_model(name: str) -> None:
    """Refuse what is no network that weights are published for."""
    own = [each for known in OWN_ENCODERS.values() for each in known]
    if name in SIZED:
        raise ValueError(f"nobody published weights of a {name}: give a run folder, or --encoder {name} to begin anew")
    if name in own:
        return
    timm = require("timm", extra="images")
    if not timm.is_model(name):
        near = get_close_matches(name, [*OWN_ENCODERS["images"], *timm.list_models()], n=3)
        raise FileNotFoundError(
            f"{name!r} is no run folder, .safetensors file or model of timm's that is known here"
            + (f"; nearest: {', '.join(near)}" if near else "")
        )
