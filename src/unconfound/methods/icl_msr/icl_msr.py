"""ICL-MSR: backdoor adjustment over learnt strata of semantics, on top of any method that contrasts two views."""

from __future__ import annotations

from functools import partial
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.encoders.apply import over_source
from unconfound.functional.background_adjustment import background_adjusted_loss
from unconfound.functional.distributed import gather
from unconfound.functional.inputs import unit_range, wide
from unconfound.functional.interventional import interventional_loss, strata_cosine, strata_diversity
from unconfound.methods.icl_msr.backgrounds import on_other_backgrounds, values_on_backgrounds
from unconfound.methods.icl_msr.host import host_named
from unconfound.methods.icl_msr.meta_gradient import HostAt, Stage, Views, Weights, aligned, length_of, moved
from unconfound.methods.icl_msr.strata import Strata, contexts
from unconfound.methods.method import Method, Phase, Step
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered
from unconfound.options.methods.icl_msr import ICLMSROptions

# Of the step of finite differences, over the length of the direction: MetaMask's.
_DIFFERENCE = 0.01
# Training samples that contexts are clustered from, at most.
_CLUSTERED = 2_048
# Mean cosine of pairs of strata from which on they count as one.
_ALIKE = 0.98


@final
class ICLMSR(Method):
    """A host's contrast, plus contrast with the positive adjusted over strata that learn to help the host.

    Qiang et al., "Interventional Contrastive Learning with Meta Semantic Regularizer", ICML 2022. Two stages: the host
    moves by its own loss plus `weight` times the interventional loss, strata standing still; then the strata move such
    that the host's loss after its next step falls, the host standing still. No code was published and the full paper
    was not at hand: the adjusted probability, its literal negatives, the strata's place and the two stages are the
    poster's; forms of the strata, the meta-gradient, diversity and all numbers are choices, which options tell apart.
    Strata that are backgrounds (ours) do not learn, so that there is one stage: see `background_adjusted_loss`.
    The encoder alone is kept.

    Args:
        encoder, schema: as for every method.
        options: of the regulariser.
        host: in place of the one that the options name; on the same encoder.

    Raises:
        ValueError: an unknown host, one that makes no two views of such data, or an option out of its range.
    """

    name = "icl-msr"
    Options = ICLMSROptions
    compares_two_views = True

    rate: Tensor
    alike: Tensor

    def __init__(
        self, encoder: Encoder, schema: Schema, options: ICLMSROptions | None = None, *, host: Method | None = None
    ) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or ICLMSROptions()
        chosen = host or host_named(options.host, options.host_options, encoder, schema)
        if not isinstance(chosen, TwoViewMethod):
            raise ValueError(f"icl-msr needs a host that contrasts two views: {type(chosen).__name__} does not")
        self.host = chosen
        self.local_crops = chosen.local_crops
        on_projection = options.strata_on == "projection"
        self.strata = Strata(
            options.strata_form,
            count=options.strata,
            width=self.host.options.projection_features if on_projection else encoder.features,
            features=encoder.features,
        )
        self.register_buffer("rate", torch.tensor(options.virtual_rate or 0.0))
        self.register_buffer("alike", torch.tensor(0.0))
        self.moving = "train"
        # Of the first stage's latest update; never outlives the second stage on the same batch.
        self.before: Weights | None = None
        self.seen: list[tuple[Views, Compared]] = []
        self.stage: Stage | None = None

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        return self.host.encoder

    def phases(self) -> tuple[Phase, ...]:
        options = self.options
        if options.meta == "frozen" or options.strata_form in ("contexts", "backgrounds"):
            return self.host.phases()
        strata = Phase(
            "strata",
            tuple(self.strata.parameters()),
            every=options.meta_every,
            own_pass=options.schedule == "epoch",
            learning_rate=options.strata_learning_rate,
        )
        return (*self.host.phases(), strata)

    def before_epoch(self, epoch: int, source: Source) -> None:
        self.host.before_epoch(epoch, source)
        if self.options.strata_form == "contexts":
            self.strata.logits.copy_(contexts(self._values_of(source), self.options.strata))

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.moving = phase
        if phase != "strata":
            self.stage, self.seen = None, []
            if self._shares_batches():
                self.before = {name: weight.clone() for name, weight in HostAt(self.host).weights().items()}
            self.host.before_update(phase, done=done, learning_rate=learning_rate)
            if self.options.virtual_rate is None:
                self.rate.fill_(learning_rate)

    def after_update(self) -> None:
        if self.moving == "strata":
            self.stage = None
            return
        # An update from several batches has one gradient for all of them.
        if self.before is not None and len(self.seen) == 1:
            learnt = {name: weight for name, weight in HostAt(self.host).named_parameters() if weight.requires_grad}
            gradient = {
                name: torch.zeros_like(weight) if weight.grad is None else weight.grad
                for name, weight in learnt.items()
            }
            self.stage = Stage(self.before, *self.seen[0], gradient)
        self.before, self.seen = None, []
        self.host.after_update()

    def alarm(self) -> str | None:
        if self.options.strata == 1 or float(self.alike) < _ALIKE:
            return None
        return (
            f"strata have become one (mean cosine {float(self.alike):.3f}), so that the interventional loss is a plain "
            "contrastive one: raise --diversity-weight, or lower --strata-learning-rate"
        )

    @torch.no_grad()
    def look(
        self, inputs: Float[Tensor, "samples *shape"]
    ) -> tuple[Float[Tensor, "samples width"], Float[Tensor, "samples features"]]:
        """Return what strata weight, and embeddings, of samples as they are; the host is left as it is."""
        at = HostAt(self.host)
        compared = at.compare(at.weights(), (torch.cat([inputs, inputs]),))
        return self._values(compared).chunk(2)[0], compared.embeddings.chunk(2)[0]

    def _values_of(self, source: Source) -> Float[Tensor, "samples width"]:
        """What strata weight, of training samples in evaluation mode."""
        index = torch.arange(0, len(source), max(1, -(-len(source) // _CLUSTERED)))
        # Hosts make two views of images or rows, which are tensors.
        values = over_source(self, lambda _, inputs: self.look(unit_range(inputs))[0], source, index.split(256))
        return torch.cat(values)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        if phase == "strata":
            return self._judge(batch)
        views = self.host.all_views(batch)
        compared = self.host.compare(*views)
        if self.before is not None:
            made = Compared(compared.loss.detach(), compared.projections.detach(), compared.embeddings.detach())
            self.seen.append((views, made))
        scalars = {"host_loss": compared.loss.detach(), **compared.scalars}
        if self.options.strata_form == "backgrounds":
            adjusted = self._adjusted_over_backgrounds(batch, compared)
        else:
            strata = self._strata(compared).detach()
            adjusted = self._interventional(_gathered(self._values(compared)), strata)
            self.alike.copy_(strata_cosine(strata))
            scalars["strata_cosine"] = self.alike.clone()
        scalars["interventional_loss"] = adjusted.detach()
        loss = compared.loss + self.options.weight * adjusted
        return Step(loss, scalars, embeddings=compared.embeddings.detach().float())

    def _shares_batches(self) -> bool:
        options = self.options
        whole = options.meta_batch == "same" and options.meta in ("exact", "finite-difference")
        return options.schedule == "interleaved" and whole

    def _judge(self, batch: Batch) -> Step:
        """Move strata: the loss has the meta-gradient as its gradient; its own value means nothing."""
        options, host, stage = self.options, self.host, self.stage
        views = host.all_views(batch) if stage is None else stage.views
        judging = host.all_views(on_other_backgrounds(batch)) if options.exchange_backgrounds else views
        if options.meta_batch == "other":
            views, judging = _half(views, 0), _half(judging, 1)
        at = HostAt(host)
        weights = at.weights() if stage is None else stage.weights
        if options.meta == "direct":
            with torch.no_grad():
                here = at.compare(weights, views)
            strata = self._strata(here)
            objective = self._interventional(_gathered(self._values(here)), strata)
            scalars = {}
        else:
            here, judged, direction = self._direction(at, weights, views, judging)
            strata = self._strata(here)
            change = self._change_of_loss(at, weights, views, direction, strata)
            objective = -float(self.rate) * options.weight * change
            if options.outer == "masked":
                values = _gathered(self._values(judged).detach())
                objective = objective + self._interventional(values, self._strata(judged))
            scalars = {"judged_loss": judged.loss.detach()}
        diversity = strata_diversity(strata if strata.dim() == 2 else strata[0])
        scalars["strata_diversity"] = diversity.detach()
        return Step(objective + options.diversity_weight * diversity, scalars)

    def _direction(
        self, at: HostAt, weights: Weights, views: Views, judging: Views
    ) -> tuple[Compared, Compared, Weights]:
        """Take the host's next step, and judge it.

        Returns:
            What the host makes of the views at its weights, what it makes of the judging ones after the step, and the
            gradient of the judge's loss there (for "alignment", at the weights as they are).
        """
        options = self.options

        def outer(compared: Compared) -> Tensor:
            return self._total(compared, 1.0) if options.outer == "masked" else compared.loss

        if options.meta == "alignment":
            direction, judged = at.gradient(weights, judging, outer)
            if judging is views:
                return judged, judged, direction
            with torch.no_grad():
                return at.compare(weights, views), judged, direction
        if self.stage is not None:
            # The first stage has just taken this step, from these weights and views.
            step, here = self.stage.gradient, self.stage.compared
        else:
            step, here = at.gradient(weights, views, lambda compared: self._total(compared, options.weight))
        direction, judged = at.gradient(moved(weights, step, -float(self.rate)), judging, outer)
        return here, judged, direction

    def _change_of_loss(self, at: HostAt, weights: Weights, views: Views, direction: Weights, strata: Tensor) -> Tensor:
        """Give the derivative of the interventional loss along a direction of the weights, as a function of strata."""
        loss = partial(self._interventional, strata=strata)
        if self.options.meta == "finite-difference":
            length = _DIFFERENCE / max(length_of(direction), 1e-12)
            with torch.no_grad():
                behind, ahead = (
                    _gathered(self._values(at.compare(moved(weights, direction, sign * length), views)))
                    for sign in (-1, 1)
                )
            return (loss(ahead) - loss(behind)) / (2 * length)
        return aligned(loss, *at.change(weights, views, direction, self._values))

    def _total(self, compared: Compared, weight: float) -> Tensor:
        strata = self._strata(compared).detach()
        return compared.loss + weight * self._interventional(_gathered(self._values(compared)), strata)

    def _interventional(self, values: Float[Tensor, "views width"], strata: Tensor) -> Tensor:
        first, second = values.chunk(2)
        return interventional_loss(
            first, second, strata, temperature=self.options.temperature, negatives=self.options.negatives
        )

    def _adjusted_over_backgrounds(self, batch: Batch, compared: Compared) -> Float[Tensor, ""]:
        options = self.options
        positives = values_on_backgrounds(self.host, batch, options.strata, self._values)
        return background_adjusted_loss(
            *gathered(self._values(compared)),
            gather(positives),
            temperature=options.temperature,
            negatives=options.negatives,
        )

    def _values(self, compared: Compared) -> Tensor:
        values = compared.projections if self.options.strata_on == "projection" else compared.embeddings
        # Half precision would round away what strata weight.
        return wide(values)

    def _strata(self, compared: Compared) -> Tensor:
        return wide(self.strata(compared.embeddings))


def _gathered(values: Float[Tensor, "views width"]) -> Float[Tensor, "all_views width"]:
    """The views of all processes' samples, the first views before the second ones."""
    return torch.cat(gathered(values))


def _half(views: Views, which: int) -> Views:
    """All views of one half of the samples."""
    samples = len(views[0]) // 2
    if samples < 4:
        raise ValueError(f"meta_batch other halves the batch, and {samples} samples are too few: use at least 4")
    middle = samples // 2
    part = slice(None, middle) if which == 0 else slice(middle, 2 * middle)
    return tuple(torch.cat([view[part] for view in size.split(samples)]) for size in views)
