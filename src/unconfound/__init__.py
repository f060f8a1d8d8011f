"""Learn representations of what a sample is, not of where it stands, and show whether it succeeded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unconfound.commands.compare import compare as compare
    from unconfound.data.load import DataOptions as DataOptions
    from unconfound.data.load import load as load
    from unconfound.encoders import build_encoder as build_encoder
    from unconfound.encoders import load_encoder as load_encoder
    from unconfound.evaluation.embed import embed as embed
    from unconfound.evaluation.evaluate import evaluate as evaluate
    from unconfound.methods import DACL as DACL
    from unconfound.methods import SimCLR as SimCLR
    from unconfound.methods import Supervised as Supervised
    from unconfound.report.audit import audit as audit
    from unconfound.retrieval.index import index as index
    from unconfound.retrieval.opened import open_index as open_index
    from unconfound.retrieval.search import search as search
    from unconfound.training import TrainingOptions as TrainingOptions
    from unconfound.training import fit as fit

__version__ = "0.1.0"

# Imported on first use: the command line's help must not wait for torch.
_HOMES = {
    "DataOptions": "data.load",
    "DACL": "methods",
    "SimCLR": "methods",
    "Supervised": "methods",
    "TrainingOptions": "training",
    "audit": "report.audit",
    "build_encoder": "encoders",
    "compare": "commands.compare",
    "embed": "evaluation.embed",
    "evaluate": "evaluation.evaluate",
    "fit": "training",
    "index": "retrieval.index",
    "load": "data.load",
    "load_encoder": "encoders",
    "open_index": "retrieval.opened",
    "search": "retrieval.search",
}
__all__ = [
    "DACL",
    "DataOptions",
    "SimCLR",
    "Supervised",
    "TrainingOptions",
    "__version__",
    "audit",
    "build_encoder",
    "compare",
    "embed",
    "evaluate",
    "fit",
    "index",
    "load",
    "load_encoder",
    "open_index",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unconfound' has no attribute {name!r}")
    return getattr(import_module(f"unconfound.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
