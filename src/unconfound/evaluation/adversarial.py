"""ImageNet-9's challenge: how many foregrounds no choice of background can fool.

Xiao et al., "Noise or Signal: The Role of Image Backgrounds in Object Recognition", ICLR 2021, on adversarial
backgrounds, and the challenge that goes with it, github MadryLab/backgrounds_challenge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from unconfound.data import Source
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import share
from unconfound.functional.labels import Array, whole_numbers


def adversarial_share(
    predictions: Integer[Array, "backgrounds foregrounds"],
    labels: Integer[Array, " foregrounds"],
    *,
    background_classes: Integer[Array, " backgrounds"] | Integer[Array, "backgrounds foregrounds"] | None,
) -> Figure:
    """Give the share of foregrounds that are answered rightly on every background of another class.

    The challenge's script (`challenge_eval.py`) reports the share that is left, that of vulnerable foregrounds, and
    tries backgrounds of the own class, too: `background_classes=None` does so. A foreground that was tried on no
    background of another class is left out.

    Args:
        predictions: of each foreground on each background.
        labels: the class of each foreground.
        background_classes: the class whose scene each background is, -1 where it is of none of the classes. None: every
            background counts.

    Raises:
        TypeError: predictions, labels or classes are not integers.
        ValueError: shapes do not fit, or no foreground was tried on a background of another class.
    """
    predictions, labels = whole_numbers("predictions", predictions), whole_numbers("labels", labels)
    if predictions.dim() != 2 or predictions.shape[1:] != labels.shape:
        raise ValueError(
            f"predictions must be [backgrounds, {len(labels)} foregrounds], got shape {tuple(predictions.shape)}"
        )
    counts = torch.ones_like(predictions, dtype=torch.bool)
    if background_classes is not None:
        classes = whole_numbers("background_classes", background_classes)
        known = classes[:, None] if classes.dim() == 1 else classes
        if len(known) != len(predictions) or known.shape[1] not in (1, len(labels)):
            raise ValueError(
                f"background_classes must be one a background, or {tuple(predictions.shape)} as predictions are, got "
                f"shape {tuple(classes.shape)}"
            )
        counts = (known != labels).expand_as(predictions)
    tried = counts.any(0)
    if not bool(tried.any()):
        raise ValueError("no foreground was tried on a background of another class; give backgrounds of all classes")
    robust = ((predictions == labels) | ~counts).all(0)
    return share(robust[tried])


def adversarial_figures(
    sources: Mapping[str, Source],
    *,
    embed: Callable[[Source], Embeddings],
    predictors: Mapping[str, Callable[[Embeddings], Int[Tensor, " samples"]]],
) -> dict[str, Figure]:
    """Give the share of robust foregrounds by each predictor.

    Args:
        sources: background -> the same foregrounds in the same order on it; `scenes` says whose it is. Those without a
            label are left out.
        embed: the encoder. Sources are embedded one after the other, and their embeddings are not kept.
        predictors: name of the figure -> from embeddings to class indices.

    Raises:
        ValueError: a source has no labels or no scenes, or holds other foregrounds than the first.
    """
    labels: Tensor | None = None
    scenes: list[Tensor] = []
    predictions: dict[str, list[Tensor]] = {name: [] for name in predictors}
    for background, source in sources.items():
        if source.labels is None or source.scenes is None:
            raise ValueError(f"the adversarial set {background} has no labels or no scenes; give both to score it")
        if labels is not None and not torch.equal(labels, source.labels):
            raise ValueError(f"the adversarial set {background} holds other foregrounds than the first; compose anew")
        labels = source.labels
        scenes.append(source.scenes)
        embeddings = embed(source)
        for name, predictor in predictors.items():
            predictions[name].append(predictor(embeddings))
    if labels is None:
        return {}
    known = labels >= 0
    return {
        name: adversarial_share(
            torch.stack(given)[:, known], labels[known], background_classes=torch.stack(scenes)[:, known]
        )
        for name, given in predictions.items()
    }
