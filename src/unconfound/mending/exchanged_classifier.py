"""A linear classifier of images on exchanged backgrounds, by which the background tells neither for nor against.

A nuisance that a user names is to other samples what the background is to images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.probe import LinearProbe, fit_probe
from unconfound.mending.exchanged import Exchanged

# Of the images on the background of another one of their own class, the shares that a classifier is fitted with.
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


def exchanged_classifier(
    exchanged: Exchanged, held_out: Mapping[str, Embeddings], *, classes: int, seed: int
) -> nn.Linear:
    """Fit a linear classifier, by which an image is recognised as well on any background as on one of its own class.

    Where backgrounds are exchanged at random, they are independent of the class. An encoder that was trained on
    confounded images still represents a foreground better where the background agrees with it, so that the classifier
    is right more often there. The fewer of these agreeing images it is fitted with, the less it gains from them. The
    share is chosen on held-out images, by the worse of the accuracies on backgrounds of the own and of random classes:
    the objective of group DRO (Sagawa et al., ICLR 2020) with two groups, at a few values of their weights.

    The regularisation is chosen on a part of the exchanged images themselves, one exchange of each: with all of them,
    images would be on both sides of the division.

    Args:
        exchanged: what is fitted on.
        held_out: "mixed-same" and "mixed-rand" of other images.
        classes: of the classifier; those that have no image are never its answer.
        seed: of the division, and of which agreeing images are left out.

    Raises:
        ValueError: fewer than two classes.
    """
    samples, exchanges, _ = exchanged.others.shape
    rows = exchanged.others.flatten(0, 1)
    labels = exchanged.labels.repeat_interleave(exchanges)
    places = torch.arange(samples).repeat_interleave(exchanges)
    strength = fit_probe(
        Embeddings(exchanged.others[:, 0], torch.arange(samples), exchanged.labels), seed=seed
    ).strength
    agreeing = exchanged.donors.flatten() == labels
    drawn = torch.rand(len(rows), generator=torch.Generator().manual_seed(seed))
    best: tuple[float, LinearProbe] | None = None
    for share in SHARES:
        kept = ~agreeing | (drawn < share)
        if len(labels[kept].unique()) < len(exchanged.labels.unique()):
            break  # all images of a class are on backgrounds of their own class
        probe = fit_probe(Embeddings(rows[kept], places[kept], labels[kept]), strengths=(strength,))
        same, random = (_accuracy(probe, held_out[name]) for name in ("mixed-same", "mixed-rand"))
        if best is None or min(same, random) > best[0]:
            best = min(same, random), probe
        if same <= random:
            break  # with fewer agreeing images, fewer are recognised on backgrounds of their own class
    assert best is not None
    return linear_layer(best[1], classes=classes)


def linear_layer(probe: LinearProbe, *, classes: int) -> nn.Linear:
    """Write a probe as a linear layer of embeddings that are not standardised.

    Args:
        probe: fitted on any of the classes.
        classes: of the layer; those that the probe does not know are never its answer.
    """
    weight = probe.weights / probe.scale
    linear = nn.Linear(weight.shape[1], classes)
    with torch.no_grad():
        linear.weight.zero_()
        # Far below what any class with images can have.
        linear.bias.fill_(-1e9)
        linear.weight[probe.classes] = weight.to(linear.weight)
        linear.bias[probe.classes] = (probe.bias - weight @ probe.mean).to(linear.bias)
    return linear.eval().requires_grad_(False)


def _accuracy(probe: LinearProbe, embeddings: Embeddings) -> float:
    known, labels = embeddings.labelled()
    right: Tensor = probe.predict(known) == labels
    return right.float().mean().item()
