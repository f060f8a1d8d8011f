"""The training loop, its optimizers, checkpoints and run folder."""

from unconfound.options.training import TrainingOptions as TrainingOptions
from unconfound.training.callback import Callback as Callback
from unconfound.training.fitting import Fitted as Fitted
from unconfound.training.fitting import fit as fit
from unconfound.training.loggers import LoggerCallback as LoggerCallback
from unconfound.training.stop import EmbeddingStopped as EmbeddingStopped
from unconfound.training.stop import TrainingStopped as TrainingStopped
