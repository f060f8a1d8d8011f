"""Train a mended classifier and its encoder on, on exchanged backgrounds or nuisances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unconfound.data import Dataset
from unconfound.mending.held_out import divided
from unconfound.mending.mend import MendingOptions
from unconfound.mending.subject import Subject
from unconfound.methods import Supervised
from unconfound.options.training import TrainingOptions
from unconfound.training import Fitted
from unconfound.training.fitting import fit


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How long and how fast to train.

    Args:
        epochs: passes over the training images.
        learning_rate: the peak; None takes that of the run, or AdamW's default where there is none.
    """

    epochs: int
    learning_rate: float | None = None


# What is done as the run was trained.
KEPT = ("optimizer", "learning_rate", "weight_decay", "batch_size")


def fine_tune(
    subject: Subject,
    classifier: nn.Linear,
    dataset: Dataset,
    tuning: FineTuning,
    *,
    out: Path,
    how: dict[str, Any],
    options: MendingOptions,
    overwrite: bool = False,
) -> Fitted:
    """Train the encoder and the classifier with labels, each sample with the background or nuisance of another one.

    The classifier starts where it was refitted on the encoder as it is, so that its first gradients do not disturb what
    the encoder knows (Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
    ICLR 2022). Samples that are held out to choose by are not trained on. The optimizer, its learning rate and weight
    decay, and the size of the batches are those that the run was trained with.

    Args:
        subject: whose encoder is changed in place; it must have an origin.
        classifier: of "refit".
        dataset: as `compare_ways` takes it.
        tuning: how long and how fast.
        out: the new run folder.
        how: what was done, which its encoder.json holds as "mended".
        options: those of `compare_ways`.
        overwrite: remove an earlier run in `out`.

    Raises:
        ValueError: as `unconfound.training.fit`.
    """
    assert subject.origin is not None
    origin = subject.origin
    started = {key: value for key, value in origin.card.provenance.items() if key == "start"}
    train = divided(dataset, seed=options.seed).fitted
    method = Supervised(origin.encoder.requires_grad_(), train.schema)
    with torch.no_grad():
        for own, start in zip(method.linear_classifier().parameters(), classifier.parameters(), strict=True):
            # A class without images has a bias that is far below all others, which weight decay cannot bring back.
            own.copy_(start)
    own = origin.config.get("training", {})
    kept = {name: own[name] for name in KEPT if name in own}
    if "batch_size" in kept:
        kept["batch_size"] = min(kept["batch_size"], len(train))
    if tuning.learning_rate is not None:
        kept["learning_rate"] = tuning.learning_rate
    training = TrainingOptions(
        **kept,
        epochs=tuning.epochs,
        exchange=1.0,
        seed=options.seed,
        device=options.embedding.device,
    )
    return fit(
        method,
        replace(dataset, train=train, labelled=train, validation=None),
        out=out,
        training=training,
        config=origin.config,
        overwrite=overwrite,
        provenance={"mended": how | {"from": subject.name}} | started,
    )
