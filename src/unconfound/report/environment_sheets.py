"""Contact sheets of DCML's environments, and whether they are backgrounds, or merely hard and easy samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.encoders import read_card
from unconfound.evaluation.embed import embed
from unconfound.evaluation.partitions import Partition, Relation, known_partitions, margins, relate
from unconfound.report.pictures import Sample, evenly_spaced, samples
from unconfound.report.relations import verdict
from unconfound.report.words import listed
from unconfound.training.saved_method import load_method

METHOD = "dcml"
SHOWN = 10  # images of each strip
MEASURED = 5_000  # samples whose margin is measured, at most
GIVEN = {
    "random": "The environments were drawn at random, and not learnt.",
    "groups": "The environments are the groups of the data, and were not learnt.",
    "scenes": "The environments are samples on their own scene and on others, and were not learnt.",
}


@dataclass(frozen=True)
class Sheet:
    """What fell into one environment.

    Args:
        number: of the environment, from 0, as in the run's `metrics.csv` and `samples.parquet`.
        held: how many samples have most of their weight in it.
        weight: its mean weight over all samples.
        highest: the samples of highest weight in it, each with that weight; none where all that it holds have the same.
        random: some that it holds, chosen at random.
    """

    number: int
    held: int
    weight: float
    highest: tuple[tuple[Sample, float], ...]
    random: tuple[tuple[Sample, float], ...]


@dataclass(frozen=True)
class EnvironmentsPart:
    """What the page shows of the environments of one run.

    Args:
        sentences: what there is to see, or why there is nothing.
        sheets: one an environment.
        relations: with all that is known of the samples, the margin last.
        held: [samples] the environment that has most of each one's weight.
    """

    sentences: tuple[str, ...]
    sheets: tuple[Sheet, ...] = ()
    relations: tuple[Relation, ...] = ()
    held: Int[Tensor, " samples"] | None = None


def environments_part(
    run: Path | None, dataset: Dataset, *, device: str = "cpu", batch_size: int = 512
) -> EnvironmentsPart | None:
    """Look at the environments of a run.

    Args:
        run: the run folder.
        dataset: what it was trained on.
        device: where the encoder runs.
        batch_size: images at a time.

    Returns:
        What the page shows: a sentence that says why, where there is nothing to see. None for runs of other methods.
    """
    if run is None or read_card(run).provenance.get("method") != METHOD:
        return None
    try:
        method = load_method(run)
    except (FileNotFoundError, ValueError) as error:
        return EnvironmentsPart((f"The environments cannot be shown: {error}.",))
    logits = method.environment_logits
    assert isinstance(logits, Tensor)
    if len(logits) == 0:
        return EnvironmentsPart(("There is one environment, which holds all training samples.",))
    source = dataset.labelled
    if source is None or len(source) != len(logits):
        return EnvironmentsPart(
            (
                f"The environments are not shown: they are those of {len(logits):,} training samples, and "
                f"{dataset.train.name} has {0 if source is None else len(source):,} with a label.",
            )
        )
    return look_at_environments(method, source, device=device, batch_size=batch_size)


def look_at_environments(
    method: Any, source: Source, *, device: str = "cpu", batch_size: int = 512
) -> EnvironmentsPart:
    """Show what fell into each environment, and what of that is known.

    Args:
        method: DCML with two environments or more; it is left as it is.
        source: the samples that it was trained on, in their order.
        device: where the encoder runs.
        batch_size: images at a time.
    """
    logits = method.environment_logits.detach().double().cpu()
    weights, held = torch.softmax(logits, 1), logits.argmax(1)
    chosen = evenly_spaced(len(source), MEASURED)
    partitions = [*known_partitions(source), *_hardness(method, source, chosen, device=device, batch_size=batch_size)]
    relations = tuple(relate(partition, weights, held) for partition in partitions)
    generator = torch.Generator().manual_seed(0)
    return EnvironmentsPart(
        sentences=(
            *_origin(method.options),
            _shares(weights, held),
            *verdict(relations),
        ),
        sheets=tuple(_sheet(number, logits, source, generator) for number in range(logits.shape[1])),
        relations=relations,
        held=held,
    )


def _origin(options: Any) -> list[str]:
    if options.environments_file is not None:
        return [
            f"The environments were read from {Path(options.environments_file).name} of an earlier run, and not learnt."
        ]
    return [GIVEN[options.environments_from]] if options.environments_from in GIVEN else []


def _hardness(
    method: Any, source: Source, chosen: Int[Tensor, " chosen"], *, device: str, batch_size: int
) -> list[Partition]:
    """Divide some samples at the median of their margin; nothing where all margins are the same."""
    embedded = embed(method.encoder, Subset(source, chosen), batch_size=batch_size, device=device)
    assert embedded.labels is not None
    proxies = method.loss.proxies
    margin = margins(embedded.features, embedded.labels, None if proxies is None else proxies.detach().cpu())
    low = margin < margin.median()
    of = torch.full((len(source),), -1).index_copy(0, chosen, low.long())
    return [Partition("margin", ("high margin", "low margin"), of)] if bool(low.any()) else []


def _sheet(
    number: int, logits: Float[Tensor, "samples environments"], source: Source, generator: torch.Generator
) -> Sheet:
    # By how far the logit is above the others: near 1, many weights are the same number.
    others = torch.cat([logits[:, :number], logits[:, number + 1 :]], 1)
    lead, weights = logits[:, number] - others.logsumexp(1), torch.softmax(logits, 1)[:, number]
    members = (logits.argmax(1) == number).nonzero().flatten()
    highest = lead.argsort(descending=True, stable=True)[:SHOWN]
    if len(members) and bool(lead[members].min() == lead.max()):
        highest = highest[:0]
    random = members[torch.randperm(len(members), generator=generator)[:SHOWN]]

    def shown(places: Int[Tensor, " places"]) -> tuple[tuple[Sample, float], ...]:
        return tuple(zip(samples(source, places), weights[places].tolist(), strict=True)) if len(places) else ()

    return Sheet(number, len(members), float(weights.mean()), shown(highest), shown(random))


def _shares(weights: Float[Tensor, "samples environments"], held: Int[Tensor, " samples"]) -> str:
    counts = held.bincount(minlength=weights.shape[1]).tolist()
    each = [f"{count:,} in environment {number}" for number, count in enumerate(counts)]
    return (
        f"Of {len(held):,} training samples, {listed(each)} have most of their weight; on "
        f"average {100 * float(weights.amax(1).mean()):.0f} % of a sample's weight is in one environment."
    )
