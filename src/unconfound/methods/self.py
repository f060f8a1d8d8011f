"""Selective last-layer finetuning: tune the last layer on the few samples that a model is least sure of."""

from __future__ import annotations

import copy
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.encoders.apply import over_source
from unconfound.functional.disagreement import disagreement
from unconfound.methods.parts.held_out import HeldOut, HeldOutClassifier
from unconfound.methods.parts.labelled import balanced_weights, cross_entropy
from unconfound.options.methods.refitting import SELFOptions


@final
class SELF(HeldOutClassifier[SELFOptions]):
    """Cross-entropy, and in the end a last layer that is tuned on a few selected held-out samples. Needs labels.

    LaBonte et al., "Towards Last-layer Retraining for Group Robustness with Fewer Annotations", NeurIPS 2023. Held-out
    samples are ranked by the disagreement of the model with a regularised version of it (`disagreement`), which is
    either the model early in its training or the model with dropout before its last layer, in one draw; or by the loss
    of the final or of the early model. From the last layer of the model, SGD with a momentum of 0.9 then goes on on the
    first of them, in batches in which classes are equally frequent.

    The paper takes half of the validation part, whose groups are better balanced than those of training; so does
    refit_on="validation", with all of it. The default holds out training samples, as the paper does for last layers
    that are learnt from all held-out samples. The paper chooses the number of samples, the learning rate and how early
    the early model is by the worst group of a validation part with groups; we choose nothing. The early model is that
    after a share of the training, as in the paper, to the nearest update.
    """

    name = "self"
    Options = SELFOptions

    early_taken: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: SELFOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.early: nn.Sequential | None = None
        if self.options.select.startswith("early-stop"):
            self.early = copy.deepcopy(nn.Sequential(encoder, self.linear_classifier())).requires_grad_(False)
        self.register_buffer("early_taken", torch.zeros((), dtype=torch.bool))
        # Reading the buffer waits for the device: once is enough.
        self.asked = False

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        """Take the early-stopped model when its time has come."""
        if self.early is None or self.asked or done < self.options.early_share:
            return
        self.asked = True
        if not bool(self.early_taken):
            self.early.load_state_dict(nn.Sequential(self.encoder, self.linear_classifier()).state_dict())
            self.early_taken.fill_(True)

    def refit(self, held: HeldOut) -> str:
        options, classifier = self.options, self.linear_classifier()
        weight, bias = classifier.weight.detach().cpu().double(), classifier.bias.detach().cpu().double()
        scores = self._scores(held, weight, bias)
        chosen = scores.topk(min(options.selected, len(scores))).indices
        missed = (held.embeddings @ weight.T + bias).argmax(1) != held.labels
        rows, labels = held.embeddings[chosen], held.labels[chosen]
        self.set_classifier(*self._tuned(rows, labels, weight, bias))
        return (
            f"self tuned the last layer on {len(chosen):,} of {len(scores):,} samples of {held.source.name}, selected "
            f"by {options.select}; the model missed {float(missed[chosen].double().mean()):.1%} of them, and "
            f"{float(missed.double().mean()):.1%} of all"
        )

    def _scores(self, held: HeldOut, weight: Tensor, bias: Tensor) -> Float[Tensor, " samples"]:
        """Rate the samples: those of the highest scores are selected."""
        logits = held.embeddings @ weight.T + bias
        early = logits
        if self.early is not None:
            model, batches = self.early, held.positions.split(256)
            early = torch.cat(over_source(model, lambda _, inputs: model(inputs).cpu(), held.source, batches)).double()
        if self.options.select.endswith("misclassification"):
            return cross_entropy(early, held.labels)
        if self.early is None:
            early = F.dropout(held.embeddings, self.options.dropout) @ weight.T + bias
        return disagreement(logits, early)

    @torch.enable_grad()
    def _tuned(
        self, rows: Float[Tensor, "samples features"], labels: Int[Tensor, " samples"], weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        optimizer = torch.optim.SGD([weight, bias], lr=self.options.refit_learning_rate, momentum=0.9)
        frequent = balanced_weights(labels)
        for _ in range(self.options.steps):
            batch = torch.multinomial(frequent, self.options.refit_batch_size, replacement=True)
            optimizer.zero_grad()
            cross_entropy(rows[batch] @ weight.T + bias, labels[batch]).mean().backward()
            optimizer.step()
        return weight.detach(), bias.detach()
