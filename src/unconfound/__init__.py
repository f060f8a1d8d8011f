"""Learn representations of what a sample is, not of where it stands, and show whether it succeeded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unconfound.commands.audit import audit as audit
    from unconfound.commands.compare import compare as compare
    from unconfound.commands.demo import demo as demo
    from unconfound.commands.embed import embed as embed
    from unconfound.commands.evaluate import evaluate as evaluate
    from unconfound.commands.export import export as export
    from unconfound.commands.fit import fit as fit
    from unconfound.commands.index import index as index
    from unconfound.commands.mend import mend as mend
    from unconfound.commands.search import search as search
    from unconfound.data.load import DataOptions as DataOptions
    from unconfound.encoders import build_encoder as build_encoder
    from unconfound.encoders import load_encoder as load_encoder
    from unconfound.encoders import start_encoder as start_encoder
    from unconfound.evaluation import Judging as Judging
    from unconfound.loading import load as load
    from unconfound.mending.saved_remedy import load_remedy as load_remedy
    from unconfound.methods import AFR as AFR
    from unconfound.methods import BYOL as BYOL
    from unconfound.methods import CIM as CIM
    from unconfound.methods import DACL as DACL
    from unconfound.methods import DCML as DCML
    from unconfound.methods import DFR as DFR
    from unconfound.methods import DINO as DINO
    from unconfound.methods import ICLMSR as ICLMSR
    from unconfound.methods import IRM as IRM
    from unconfound.methods import JTT as JTT
    from unconfound.methods import RELIC as RELIC
    from unconfound.methods import SCARF as SCARF
    from unconfound.methods import SCL as SCL
    from unconfound.methods import SELF as SELF
    from unconfound.methods import SSLHSIC as SSLHSIC
    from unconfound.methods import WMSE as WMSE
    from unconfound.methods import BarlowTwins as BarlowTwins
    from unconfound.methods import ContraCAM as ContraCAM
    from unconfound.methods import ForegroundAutoencoder as ForegroundAutoencoder
    from unconfound.methods import Gaussian as Gaussian
    from unconfound.methods import GroupDRO as GroupDRO
    from unconfound.methods import InfoGraph as InfoGraph
    from unconfound.methods import LargeMargin as LargeMargin
    from unconfound.methods import LeJEPA as LeJEPA
    from unconfound.methods import MaskTune as MaskTune
    from unconfound.methods import Metric as Metric
    from unconfound.methods import MoCo as MoCo
    from unconfound.methods import Random as Random
    from unconfound.methods import ReSSL as ReSSL
    from unconfound.methods import SimCLR as SimCLR
    from unconfound.methods import SimCLRDACL as SimCLRDACL
    from unconfound.methods import SimSiam as SimSiam
    from unconfound.methods import Supervised as Supervised
    from unconfound.methods import SwAV as SwAV
    from unconfound.methods import VICReg as VICReg
    from unconfound.retrieval import open_index as open_index
    from unconfound.training import TrainingOptions as TrainingOptions

__version__ = "0.1.0"

# fmt: off
__all__ = [
    "AFR", "BYOL", "CIM", "DACL", "DCML", "DFR", "DINO", "ICLMSR", "IRM", "JTT", "RELIC", "SCARF", "SCL", "SELF",
    "SSLHSIC", "WMSE", "BarlowTwins", "ContraCAM", "DataOptions", "ForegroundAutoencoder", "Gaussian", "GroupDRO",
    "InfoGraph", "Judging", "LargeMargin", "LeJEPA", "MaskTune", "Metric", "MoCo", "Random", "ReSSL", "SimCLR",
    "SimCLRDACL", "SimSiam", "Supervised", "SwAV", "TrainingOptions", "VICReg", "__version__", "audit", "build_encoder",
    "compare", "demo", "embed", "evaluate", "export", "fit", "index", "load", "load_encoder", "load_remedy", "mend",
    "open_index", "search", "start_encoder",
]
# fmt: on
# Where names come from on first use: the command line's help must not wait for torch. All others are methods.
_HOMES = {
    "DataOptions": "data.load",
    "Judging": "evaluation",
    "TrainingOptions": "training",
    "build_encoder": "encoders",
    "load": "loading",
    "load_encoder": "encoders",
    "load_remedy": "mending.saved_remedy",
    "open_index": "retrieval",
    "start_encoder": "encoders",
}
_HOMES |= {
    command: f"commands.{command}"
    for command in ("audit", "compare", "demo", "embed", "evaluate", "export", "fit", "index", "mend", "search")
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'unconfound' has no attribute {name!r}")
    return getattr(import_module(f"unconfound.{_HOMES.get(name, 'methods')}"), name)


def __dir__() -> list[str]:
    return __all__
