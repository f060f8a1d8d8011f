"""Automatic feature reweighting: keep the encoder, learn the last layer anew from what the first one gets wrong."""

from __future__ import annotations

from typing import final

import torch

from unconfound.functional.error_weights import descend_to_weighted, error_weights
from unconfound.methods.parts.held_out import HeldOut, HeldOutClassifier
from unconfound.options.methods.refitting import AFROptions


@final
class AFR(HeldOutClassifier[AFROptions]):
    """Cross-entropy, and in the end a last layer for which badly predicted held-out samples count more. Needs labels.

    Qiu et al., "Simple and Fast Group Robustness by Automatic Feature Reweighting", ICML 2023. As in the paper, a fifth
    of the training samples is held out from the first stage; each is weighted by exp(-gamma p) over the size of its
    class (`error_weights`), and the last layer descends from that of the first stage, which pulls it back
    (`descend_to_weighted`). The defaults are those that the authors state for Waterbirds, but for gamma: at 14, all of
    the weight is on what the first stage misses, which helps only if most of that is a rare group.

    The paper chooses gamma, the pull and the step to stop at by the worst group of a validation part with groups; we
    know no groups, choose nothing and make all steps. It embeds ten augmentations of each Waterbirds image, we the
    image.
    """

    name = "afr"
    Options = AFROptions

    def refit(self, held: HeldOut) -> str:
        options, classifier = self.options, self.linear_classifier()
        start = classifier.weight.detach().cpu().double(), classifier.bias.detach().cpu().double()
        logits = held.embeddings @ start[0].T + start[1]
        weights = error_weights(logits, held.labels, gamma=options.gamma)
        weight, bias = descend_to_weighted(
            held.embeddings,
            held.labels,
            weights,
            start=start,
            pull=options.pull,
            steps=options.steps,
            learning_rate=options.refit_learning_rate,
        )
        self.set_classifier(weight, bias)
        wrong = logits.argmax(1) != held.labels
        moved = ((weight - start[0]).square().sum() + (bias - start[1]).square().sum()).sqrt()
        size = torch.cat([start[0].flatten(), start[1]]).norm()
        return (
            f"afr fit the last layer anew on {len(wrong):,} samples of {held.source.name}, of which the first stage "
            f"missed {int(wrong.sum()):,}; these have {float(weights[wrong].sum()):.1%} of the weight. The layer moved "
            f"by {float(moved / size):.1%} of its norm"
        )
