"""The contract between a method and the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder


# Not frozen, for the reason given at Batch.
@dataclass(eq=False)
class Step:
    """What a method returns for one batch.

    Args:
        loss: what the loop differentiates.
        scalars: named and detached, for the log.
        embeddings: the encoder's detached output, where the method has it at hand, for the alarm on collapse.
    """

    loss: Float[Tensor, ""]
    scalars: dict[str, Tensor] = field(default_factory=dict)
    embeddings: Float[Tensor, "rows features"] | None = None


@dataclass(frozen=True)
class Phase:
    """Parameters that one optimizer moves, and the batches on which it does.

    Args:
        name: handed to `Method.forward`.
        parameters: parameters, or groups of them as torch's optimizers take ({"params": ..., "lr": ...}). All others
            keep their values while the phase runs.
        every: the phase runs on every `every`-th batch of its pass over the data.
        own_pass: True: the phase goes over the data on its own, after the phases before it; False: it shares the pass
            of the phase before it and runs right after it on the same batch.
        learning_rate: in place of the loop's, or None. Groups may carry their own, too.
        start: the epoch (the first is 0) in which the phase runs for the first time; below 0, counted from the end of
            the training, so that -1 is the last epoch.
        stop: the epoch before which it ends, counted likewise; None: it ends with the training. Its learning rate
            follows one schedule, warm-up and fall, between the two.
    """

    name: str
    parameters: Sequence[nn.Parameter] | Sequence[dict[str, Any]]
    every: int = 1
    own_pass: bool = True
    learning_rate: float | None = None
    start: int = 0
    stop: int | None = None


class Method(nn.Module, ABC):
    """What is learnt, and by which loss. Every method is final, and inherits from this class or an abstract one of it.

    A method is constructed as `Method(encoder, schema, options)`. It owns no optimizer, device, logger or process
    group, and keeps what must survive a restart in registered buffers and parameters.

    Class attributes:
        name: what the command line, recipes and errors call it.
        Options: a frozen dataclass of options, which are also its command-line flags and recipe keys.
        needs_labels: the loop trains on labelled samples only, and refuses data without.
        tested_on_unseen_classes: it learns a similarity, which is tested on other classes than it is trained on unless
            the user or a recipe says otherwise.
        synchronize_batch_norm: BatchNorm uses the whole batch, not one process's share.

    Attributes:
        encoder: what the user keeps.
        compares_two_views: it makes its second views from a batch's `second_inputs` where there are any.
        local_crops: so many small crops of each image it compares with these, from `local_inputs` where there are any.
        needs_groups: it learns from the groups of the samples, of which others know nothing: results say so.
        instances_per_class: batches hold so many samples of each of batch_size / instances_per_class classes, which
            are drawn anew for each batch; None: samples come as they are shuffled, or as `sampling_weights` says.
    """

    name: ClassVar[str]
    Options: ClassVar[type[Any]]
    needs_labels: ClassVar[bool] = False
    tested_on_unseen_classes: ClassVar[bool] = False
    synchronize_batch_norm: ClassVar[bool] = True

    encoder: Encoder
    compares_two_views: bool = False
    local_crops: int = 0
    needs_groups: bool = False
    instances_per_class: int | None = None

    @abstractmethod
    def __init__(self, encoder: Encoder, schema: Schema, options: Any = None) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch, phase: str = "train") -> Step:
        """Compute the loss of one batch in one phase."""

    def phases(self) -> tuple[Phase, ...]:
        """Say which parameters move on which pass over the data: all that are learnt in one pass, for most methods.

        A method without phases learns in `before_epoch` alone, which is then called once.
        """
        return (Phase("train", tuple(parameter for parameter in self.parameters() if parameter.requires_grad)),)

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Learn or prepare something from the training data before an epoch (the first is 0)."""

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Say how often samples are drawn, relative to one another; None: every sample comes once a pass.

        With weights, a pass draws as many samples as the source has, with replacement. Asked before each pass, and
        again where a run is resumed within one: the answer must depend on the source and on saved state alone.

        Args:
            source: the training samples.
            phase: the first one of the pass.

        Returns:
            [samples], 0 or above, of any sum above 0.
        """
        return None

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        """Hear, before an update, how far the training is: what follows a schedule needs it.

        Args:
            phase: whose parameters are about to move.
            done: share of the training that is behind, from 0 up to, but without, 1.
            learning_rate: of the phase's first group of parameters.
        """

    def after_update(self) -> None:
        """Follow an optimizer's step: moving averages, queues."""

    def after_training(self, source: Source, validation: Source | None) -> str | None:
        """Learn what is learnt once the encoder stands; called again where a finished run is resumed.

        Args:
            source: the training samples.
            validation: samples of the same kind that were set aside, or None.

        Returns:
            In plain words what was learnt, for the run's log.
        """
        return None

    def of_samples(self) -> dict[str, Tensor]:
        """Return what was learnt of each training sample, [samples] by name: it is kept with the run, as a table."""
        return {}

    def linear_classifier(self) -> nn.Linear | None:
        """Return the map from embeddings to logits of the classes, where one is learnt: it is kept with the encoder."""
        return None

    def alarm(self) -> str | None:
        """Say in plain words what a user must know of how training goes, or None; asked where metrics are written."""
        return None
