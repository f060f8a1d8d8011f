"""What is learnt: one file and one final class a method, all under the contract of `method.py`."""

from unconfound.methods.method import Method as Method
from unconfound.methods.method import Phase as Phase
from unconfound.methods.method import Step as Step
from unconfound.methods.random import Random as Random
from unconfound.methods.simclr import SimCLR as SimCLR
from unconfound.methods.supervised import Supervised as Supervised

METHODS: dict[str, type[Method]] = {
    "random": Random,
    "simclr": SimCLR,
    "supervised": Supervised,
}
