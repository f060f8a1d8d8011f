"""Metric losses by name, in one form: a scalar for a batch, or its elements with the sample that each belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.functional.distributed import gather
from unconfound.functional.inputs import wide
from unconfound.functional.pair_terms import Terms, noise_to_signal, pairs
from unconfound.functional.proxy_losses import center_spread
from unconfound.functional.similarity import normalize
from unconfound.methods.metric.forms import FORMS, Triplets
from unconfound.methods.parts.memory import LabelledMemory
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.options.methods.metric import Implementation, MetricOptions
from unconfound.options.methods.metric_settings import LossName, checked_settings, tuned
from unconfound.suggestions import nearest_name


def build_metric_loss(
    name: LossName,
    *,
    classes: int,
    features: int,
    settings: Mapping[str, float] | None = None,
    implementation: Implementation = "auto",
) -> MetricLoss:
    """Make a metric loss with its settings tuned on CUB-200.

    Args:
        name: of the loss.
        classes: labels are below this.
        features: width of the embeddings.
        settings: in place of the tuned ones.
        implementation: ours, pytorch-metric-learning's, or ours where there is one, which is all but FastAP.

    Raises:
        ValueError: an unknown name, a setting that the loss has not or out of its range, or no implementation.
        ImportError: pytorch-metric-learning is needed and not installed.
    """
    if implementation not in get_args(Implementation):
        names = get_args(Implementation)
        raise ValueError(f"unknown implementation {implementation!r}: {nearest_name(str(implementation), names)}")
    chosen = checked_settings(name, settings or {})
    return MetricLoss(name, classes=classes, features=features, settings=chosen, implementation=implementation)


def chosen_loss(
    options: MetricOptions | DCMLOptions, classes: int, *, implementation: Implementation = "auto"
) -> tuple[MetricLoss, float | None]:
    """Make the loss that the options of a method name, and return it with the learning rate of what it learns.

    Raises:
        ValueError, ImportError: as `build_metric_loss`.
    """
    settings, rate = tuned(options.loss, options.tuned_on)
    given = {"margin": options.margin, "scale": options.scale}
    settings |= {name: value for name, value in given.items() if value is not None}
    loss = build_metric_loss(
        options.loss, classes=classes, features=options.features, settings=settings, implementation=implementation
    )
    return loss, options.proxy_learning_rate or rate


class MetricLoss(nn.Module):
    """A metric loss of embeddings and labels; make one with `build_metric_loss`.

    What it learns beside the encoder, proxies or a boundary, are its parameters; a memory is a buffer of it. Embeddings
    and labels of all processes are gathered, so that several processes compute what one would with the whole batch.
    All is in float32 or better.

    Args:
        name, classes, features, settings, implementation: as `build_metric_loss`, with all settings of the loss.

    Attributes:
        proxies: [classes, features], of SoftTriple [classes, centers, features]; None: the loss has none of ours.
        boundary: of the margin losses, or None.
        memory: of earlier batches, or None.
        published: pytorch-metric-learning's module, or None.
        has_elements: `elements` works.
        has_logits: `logits` works: the loss is the cross-entropy of scores against proxies of ours.
    """

    def __init__(
        self,
        name: LossName,
        *,
        classes: int,
        features: int,
        settings: Mapping[str, float],
        implementation: Implementation = "auto",
    ) -> None:
        super().__init__()
        self.name, self.settings = name, dict(settings)
        self.form = form = FORMS[name]
        if form.scores is noise_to_signal and features < 2:
            raise ValueError(f"{name} compares variances over features, and there is {features}: use at least two")
        if not form.ours and implementation == "ours":
            raise ValueError(f"{name} has no implementation of ours: use --implementation auto or published")
        ours = form.ours and implementation != "published"
        self.has_elements = ours and form.has_elements
        self.has_logits = ours and form.logits is not None
        self.proxies: nn.Parameter | None = None
        self.boundary: nn.Parameter | None = None
        self.published: nn.Module | None = None
        self.memory = LabelledMemory(int(settings["memory"]), features) if form.memory else None
        if not ours:
            # Only here is the optional library needed.
            from unconfound.methods.metric.published import published_loss

            self.published = published_loss(name, classes=classes, features=features, settings=settings)
            return
        if form.proxies is not None:
            self.proxies = nn.Parameter(form.proxies(classes, features, settings))
        if form.boundary is not None:
            count = classes if form.boundary == "class" else 1
            self.boundary = nn.Parameter(torch.full((count,), float(settings["boundary"])))

    def forward(self, embeddings: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Compute the loss of the batch of all processes.

        Where nothing in the batch can be learnt from (no positive pair for a loss that needs one), it is 0.
        """
        rows, labels = wide(gather(embeddings)), gather(labels)
        with torch.autocast(rows.device.type, enabled=False):
            if self.memory is not None:
                return self._against_memory(self.memory, rows, labels)
            if self.published is not None:
                # The library's own arithmetic of this distance is on rows as they are, the regularizer included.
                rows = normalize(rows) if self.form.scores is noise_to_signal else rows
                loss: Tensor = self.published(rows, labels)
                return loss
            if self.form.logits is not None:
                return F.cross_entropy(self._logits(rows, labels), labels) + self._regularizer(rows)
            if self.form.total is not None:
                return self.form.total(rows, self.proxies, labels, **self._options())
            return self._terms(rows, rows, pairs(labels), labels).total() + self._regularizer(rows)

    def elements(
        self,
        embeddings: Float[Tensor, "batch features"],
        labels: Int[Tensor, " batch"],
        *,
        scale: Float[Tensor, ""] | None = None,
    ) -> tuple[Float[Tensor, " elements"], Int[Tensor, " elements"]]:
        """Return the unreduced elements of the loss, whose mean is the loss, and to which sample each belongs.

        An element is a sample's cross-entropy, a pair or a triplet whose loss is not 0, or all pairs of an anchor
        (multi-similarity). Where a loss averages two kinds of pairs apart, or adds a regularizer, elements are scaled,
        or raised by it, so that their mean is the loss all the same. None where there is nothing to learn from.

        Args:
            embeddings, labels: of the batch of all processes; unlike `forward`, this gathers nothing.
            scale: multiplies what is compared: logits, with the margin inside; distances or similarities of pairs.

        Returns:
            [elements] and [elements]: the positions of their anchors in the batch.

        Raises:
            ValueError: the loss belongs to a batch as a whole, or its implementation is not ours.
        """
        if not self.has_elements:
            known = [each for each in get_args(LossName) if FORMS[each].has_elements]
            raise ValueError(
                f"the loss {self.name} has no elements that could be weighed: use our implementation of one of "
                f"{', '.join(known)}"
            )
        rows = wide(embeddings)
        with torch.autocast(rows.device.type, enabled=False):
            if self.form.logits is not None:
                logits = self._logits(rows, labels)
                losses = F.cross_entropy(logits if scale is None else scale * logits, labels, reduction="none")
                return losses + self._regularizer(rows), torch.arange(len(rows), device=rows.device)
            losses, anchors = self._terms(rows, rows, pairs(labels), labels, scale=scale).elements()
            return losses + self._regularizer(rows), anchors

    def logits(
        self, embeddings: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the scores of samples, whose cross-entropy is the loss.

        Args:
            embeddings, labels: as `elements`.

        Raises:
            ValueError: the loss is no such one.
        """
        if not self.has_logits:
            known = [name for name, form in FORMS.items() if form.logits is not None]
            raise ValueError(f"the loss {self.name} has no logits: use our {', '.join(known)}")
        rows = wide(embeddings)
        with torch.autocast(rows.device.type, enabled=False):
            return self._logits(rows, labels)

    def _options(self) -> dict[str, Any]:
        return {name: self.settings[name] for name in self.form.settings}

    def _logits(self, rows: Tensor, labels: Tensor) -> Tensor:
        assert self.form.logits is not None
        return self.form.logits(rows, self.proxies, labels, **self._options())

    def _terms(
        self,
        rows: Tensor,
        others: Tensor,
        kinds: tuple[Tensor, Tensor],
        labels: Tensor,
        *,
        scale: Tensor | None = None,
    ) -> Terms | Triplets:
        """Compare rows with others, of which `kinds` says which pairs are positive and which negative."""
        assert self.form.scores is not None
        assert self.form.terms is not None
        scores = self.form.scores(rows, others)
        scores = scores if self.form.scale is None else self.settings[self.form.scale] * scores
        options = self._options()
        if self.boundary is not None:
            options["boundary"] = self.boundary if len(self.boundary) == 1 else self.boundary[labels]
        return self.form.terms(scores if scale is None else scale * scores, *kinds, **options)

    def _regularizer(self, rows: Tensor) -> Tensor | float:
        if weight := self.settings.get("spread_weight", 0.0):
            return weight * center_spread(cast(Tensor, self.proxies))
        if weight := self.settings.get("mean_weight", 0.0):
            # Yuan et al., equation 9: features are to have the mean 0, which makes the ratio that of a distance.
            return weight * normalize(rows).sum(1).abs().mean()
        return 0.0

    def _against_memory(self, memory: LabelledMemory, rows: Tensor, labels: Tensor) -> Tensor:
        """Compare a batch with earlier ones and itself; in training it enters the memory first."""
        places = memory.push(rows.detach(), labels) if self.training else None
        positive, negative = kinds = memory.pairs(labels, places)
        others = memory.rows.to(rows.dtype, copy=True)
        if self.published is not None:
            indices = (*positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True))
            loss: Tensor = self.published(rows, labels, indices, others, memory.labels.clone())
            return loss
        return self._terms(rows, others, kinds, labels).total()
