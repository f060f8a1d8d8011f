"""The training loop, its optimizers, checkpoints and run folder."""

from unconfound.training.fitting import Fitted as Fitted
from unconfound.training.fitting import fit as fit
from unconfound.training.options import TrainingOptions as TrainingOptions
