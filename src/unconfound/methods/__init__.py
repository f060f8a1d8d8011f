"""What is learnt: one file and one final class a method, all under the contract of `method.py`."""

from unconfound.methods.afr import AFR as AFR
from unconfound.methods.barlow_twins import BarlowTwins as BarlowTwins
from unconfound.methods.byol import BYOL as BYOL
from unconfound.methods.cim import CIM as CIM
from unconfound.methods.contracam import ContraCAM as ContraCAM
from unconfound.methods.dacl import DACL as DACL
from unconfound.methods.dcml.dcml import DCML as DCML
from unconfound.methods.dfr import DFR as DFR
from unconfound.methods.dino import DINO as DINO
from unconfound.methods.foreground_autoencoder import ForegroundAutoencoder as ForegroundAutoencoder
from unconfound.methods.gaussian import Gaussian as Gaussian
from unconfound.methods.group_dro import GroupDRO as GroupDRO
from unconfound.methods.icl_msr.icl_msr import ICLMSR as ICLMSR
from unconfound.methods.infograph import InfoGraph as InfoGraph
from unconfound.methods.irm import IRM as IRM
from unconfound.methods.jtt import JTT as JTT
from unconfound.methods.large_margin import LargeMargin as LargeMargin
from unconfound.methods.lejepa import LeJEPA as LeJEPA
from unconfound.methods.masktune import MaskTune as MaskTune
from unconfound.methods.method import Method as Method
from unconfound.methods.method import Phase as Phase
from unconfound.methods.method import Step as Step
from unconfound.methods.metric.metric import Metric as Metric
from unconfound.methods.moco import MoCo as MoCo
from unconfound.methods.random import Random as Random
from unconfound.methods.relic import RELIC as RELIC
from unconfound.methods.ressl import ReSSL as ReSSL
from unconfound.methods.scarf import SCARF as SCARF
from unconfound.methods.scl import SCL as SCL
from unconfound.methods.self import SELF as SELF
from unconfound.methods.simclr import SimCLR as SimCLR
from unconfound.methods.simclr_dacl import SimCLRDACL as SimCLRDACL
from unconfound.methods.simsiam import SimSiam as SimSiam
from unconfound.methods.ssl_hsic import SSLHSIC as SSLHSIC
from unconfound.methods.supervised import Supervised as Supervised
from unconfound.methods.swav import SwAV as SwAV
from unconfound.methods.vicreg import VICReg as VICReg
from unconfound.methods.w_mse import WMSE as WMSE
from unconfound.options.methods import ALIASES as ALIASES

METHODS: dict[str, type[Method]] = {
    "random": Random,
    "supervised": Supervised,
    "simclr": SimCLR,
    "gaussian": Gaussian,
    "scarf": SCARF,
    "dacl": DACL,
    "simclr+dacl": SimCLRDACL,
    "infograph": InfoGraph,
    "moco": MoCo,
    "byol": BYOL,
    "simsiam": SimSiam,
    "icl-msr": ICLMSR,
    "ressl": ReSSL,
    "relic": RELIC,
    "ssl-hsic": SSLHSIC,
    "swav": SwAV,
    "dino": DINO,
    "lejepa": LeJEPA,
    "barlow-twins": BarlowTwins,
    "vicreg": VICReg,
    "w-mse": WMSE,
    "large-margin": LargeMargin,
    "contracam": ContraCAM,
    "foreground-autoencoder": ForegroundAutoencoder,
    "cim": CIM,
    "scl": SCL,
    "group-dro": GroupDRO,
    "irm": IRM,
    "jtt": JTT,
    "dfr": DFR,
    "afr": AFR,
    "self": SELF,
    "masktune": MaskTune,
    "dcml": DCML,
    "metric": Metric,
}
