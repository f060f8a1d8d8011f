"""What is learnt: one file and one final class a method, all under the contract of `method.py`."""

from typing import Any

from unconfound.methods.dacl import DACL as DACL
from unconfound.methods.gaussian import Gaussian as Gaussian
from unconfound.methods.infograph import InfoGraph as InfoGraph
from unconfound.methods.method import Method as Method
from unconfound.methods.method import Phase as Phase
from unconfound.methods.method import Step as Step
from unconfound.methods.random import Random as Random
from unconfound.methods.scarf import SCARF as SCARF
from unconfound.methods.simclr import SimCLR as SimCLR
from unconfound.methods.simclr_dacl import SimCLRDACL as SimCLRDACL
from unconfound.methods.supervised import Supervised as Supervised

METHODS: dict[str, type[Method]] = {
    "random": Random,
    "supervised": Supervised,
    "simclr": SimCLR,
    "gaussian": Gaussian,
    "scarf": SCARF,
    "dacl": DACL,
    "simclr+dacl": SimCLRDACL,
    "infograph": InfoGraph,
}
# Other names of a method with some of its options set.
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dacl+": ("dacl", {"functions": ["linear", "geometric", "binary"]}),
}
