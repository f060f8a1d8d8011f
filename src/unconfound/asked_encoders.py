"""What a user wants to have measured: encoders by name, as words, paths, modules or functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

# Everything heavy is imported where it is needed: the words of a command are checked without torch.
if TYPE_CHECKING:
    from unconfound.data import Dataset

Asked: TypeAlias = str | Callable[[Any], Any]
EMBEDDINGS = (".npy", ".npz", ".parquet")
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")


def by_name(encoders: Any) -> dict[str, Asked]:
    """Return encoders by the names that tables use.

    Args:
        encoders: one or several in a list, or by name.

    Raises:
        TypeError: one of them is none.
        ValueError: two have one name.
    """
    if isinstance(encoders, Mapping):
        return {str(name): _checked(each) for name, each in encoders.items()}
    found = [_checked(each) for each in (encoders if isinstance(encoders, list | tuple) else [encoders])]
    names = [_name(each) for each in found]
    if len(set(names)) < len(names):
        names = [each if isinstance(each, str) else _name(each) for each in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two encoders are called {twice}: leave one out, or name them in Python, {{'name': encoder}}")
    return dict(zip(names, found, strict=True))


def is_embeddings(encoder: Asked) -> bool:
    """Return whether a file of embeddings is asked for."""
    return isinstance(encoder, str) and Path(encoder).suffix in EMBEDDINGS


def is_run(encoder: Asked) -> bool:
    """Return whether a run folder is asked for, one that lacks its files included."""
    if not isinstance(encoder, str) or not Path(encoder).is_dir():
        return False
    return (Path(encoder) / "encoder.json").is_file() or not (Path(encoder) / "config.json").is_file()


def is_named(encoder: Asked) -> bool:
    """Return whether an encoder is asked for by its name, and not by a file or folder."""
    return isinstance(encoder, str) and not Path(encoder).is_dir() and not encoder.endswith((*EMBEDDINGS, ".onnx"))


def check_word(word: str) -> None:
    """Refuse files of weights without a network.

    Raises:
        ValueError: in one line, what to give instead.
    """
    if word.endswith(".safetensors"):
        raise ValueError(
            f"{word} holds weights and no network: give the name of the network and --weights {word}, or the folder "
            "with its config.json"
        )
    if Path(word).suffix in PICKLES:
        raise ValueError(
            f"{word} may be a pickle, which is never read: save its weights with safetensors.torch.save_file, or give "
            "the module to unconfound.audit"
        )


def trained_size(encoder: Asked) -> int | None:
    """Return the side of the images that published weights were trained on; None where that is not known.

    Raises:
        ValueError: the config.json of a model folder is damaged.
    """
    from unconfound.encoders.build import IMAGENET_SIZE, OWN_ENCODERS, SIZED
    from unconfound.encoders.model_folder import input_size, is_model_folder
    from unconfound.encoders.weights_at_hand import published_size

    if not isinstance(encoder, str):
        return None
    if Path(encoder).is_dir():
        return input_size(Path(encoder)) if is_model_folder(Path(encoder)) else None
    if not is_named(encoder) or encoder in SIZED or encoder == "auto":
        return None
    return IMAGENET_SIZE if encoder in OWN_ENCODERS["images"] else published_size(encoder)


def check_published(encoder: Asked) -> None:
    """Refuse an encoder that is named and has no published weights, or none at hand, before the data are read.

    Raises:
        FileNotFoundError: they are in no cache, and the network is not there.
        ValueError: there are none, or the name is unknown.
    """
    from unconfound.encoders.build import SIZED
    from unconfound.encoders.weights_at_hand import check_weights_at_hand

    if encoder in (*SIZED, "auto"):
        raise ValueError(f"{encoder} has no published weights: give --no-pretrained to measure it untrained")
    if isinstance(encoder, str) and is_named(encoder):
        check_weights_at_hand(encoder)


def encoder_of(encoder: Asked, dataset: Dataset, *, pretrained: bool | Path) -> Callable[[Any], Any]:
    """Load or build what is asked for; a function is returned as it is.

    Args:
        encoder: all but a file of embeddings.
        dataset: whose samples it takes.
        pretrained: whether a named encoder gets its published weights, or the file of other ones.

    Raises:
        FileNotFoundError: a folder holds no encoder, there is no such file, or weights are not at hand.
        ValueError: an unknown name, a damaged file, or an encoder that does not fit the data.
    """
    from unconfound.encoders import load_encoder
    from unconfound.encoders.model_folder import load_model_folder
    from unconfound.mending.subject import subject_of

    if not isinstance(encoder, str):
        return encoder
    if is_run(encoder):
        return load_encoder(encoder)
    if Path(encoder).is_dir():
        return load_model_folder(Path(encoder), dataset.train.schema)
    return subject_of(encoder, dataset, pretrained=pretrained, config={}).encoder


def _checked(encoder: Any) -> Asked:
    if isinstance(encoder, str | Path):
        return str(encoder)
    if hasattr(encoder, "__array__"):
        raise TypeError(
            "an array holds embeddings and is no encoder: write it with the names of its rows, "
            "np.savez('embeddings.npz', embeddings=array, names=names), and give the file"
        )
    if not callable(encoder):
        raise TypeError(f"{type(encoder).__name__} is no encoder: give a name, a path, a module or a function")
    function: Callable[[Any], Any] = encoder
    return function


def _name(encoder: Asked) -> str:
    if not isinstance(encoder, str):
        return str(getattr(encoder, "__name__", type(encoder).__name__))
    if is_named(encoder):
        return encoder
    path = Path(encoder)
    return (path.resolve().name if path.is_dir() else path.stem) or encoder
