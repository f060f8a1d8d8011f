"""Which environment a training sample belongs to: what DCML learns between epochs, and its controls."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data import Batch, Source
from unconfound.documents import one_line
from unconfound.encoders import Encoder, Gated, Projected
from unconfound.encoders.apply import over_source
from unconfound.functional.environments.learn import learn_environments
from unconfound.functional.environments.masks import mask_gradients
from unconfound.functional.inputs import wide_dtype
from unconfound.methods.dcml.environment_loss import sample_slopes
from unconfound.methods.metric.losses import MetricLoss
from unconfound.methods.parts.labelled import cross_entropy, labels_of, source_groups
from unconfound.options.methods.dcml import DCMLOptions

# Vectors that need more memory than this have one multiplier for all classes, where one a class was asked for.
LARGEST_BYTES = 2**31
# A weight's logit that leaves nothing to the others.
CERTAIN = 30.0
_PASS = 256


def learnt_environments(
    encoder: Encoder, loss: MetricLoss, source: Source, options: DCMLOptions, *, environments: int
) -> tuple[Float[Tensor, "samples environments"], Float[Tensor, " passes"]]:
    """Learn weights of the samples in each environment, from the model as it stands.

    Args:
        encoder, loss, source: as `sample_vectors`.
        options: how.
        environments: their number.

    Returns:
        Logits of the weights, and the objective after each pass.
    """
    width = len(source.schema.classes) + encoder.wrapper(Gated).features
    fits = len(source) * environments * width * 4 <= LARGEST_BYTES
    vectors = sample_vectors(encoder, loss, source, per_class=options.per_class and fits)
    return learn_environments(
        vectors,
        environments=environments,
        passes=options.environment_steps,
        batch_size=options.environment_batch,
        learning_rate=options.environment_learning_rate,
        normalization=options.normalization,
        solver=options.solver,
        smallest_share=options.smallest_share,
        entropy_weight=options.entropy_weight,
        generator=torch.Generator().manual_seed(int(torch.randint(2**62, ()))),
    )


def sample_vectors(
    encoder: Encoder, loss: MetricLoss, source: Source, *, per_class: bool
) -> Float[Tensor, "samples environments width"]:
    """Compute of every training sample what the objective of the environments is made of, by each one's gates.

    That is the derivative of its loss by what multiplies the scores, and by all-ones masks over channels and over
    places of the gated map (Deng and Zhang, ICML 2022), all at 1. For one image and a fixed view, these are the same in
    every step that learns environments, for the model stands still: they are computed once, with one pass of the
    network, where the released code differentiates twice in each step. The view is the image itself, there it is a
    random one. A loss of pairs has no masks here: its value for a sample depends on others' maps.

    Args:
        encoder: gated and projected; left as it is, in the mode in which it was.
        loss: of an environment.
        source: labelled images.
        per_class: a multiplier for each class.

    Every process computes all of it.

    Returns:
        On the encoder's device, in float32 or better.
    """
    gated = encoder.wrapper(Gated)
    vectors = torch.empty(0)

    def keep(batch: Batch, images: Tensor) -> None:
        nonlocal vectors
        maps, labels = gated.maps(images), labels_of(batch, method="dcml").to(images.device)
        environments = range(gated.attention.environments)
        found = torch.stack(
            [_vectors(encoder, loss, maps, labels, each, per_class=per_class) for each in environments], 1
        )
        if not len(vectors):
            vectors = found.new_empty(len(source), *found.shape[1:], dtype=wide_dtype(found))
        vectors[batch.index.to(found.device)] = found.to(vectors.dtype)

    over_source(encoder, keep, source, _order(source).split(_PASS))
    return vectors


def _vectors(
    encoder: Encoder, loss: MetricLoss, maps: Tensor, labels: Tensor, environment: int, *, per_class: bool
) -> Float[Tensor, "batch width"]:
    attention, projection = encoder.wrapper(Gated).attention, encoder.wrapper(Projected).projection
    own = {name: weight[environment : environment + 1] for name, weight in attention.weights.items()}
    spatial, channel, pooled = (each.squeeze(0) for each in attention.gates_and_means(maps, own))
    if not loss.has_logits:
        return sample_slopes(loss, projection(pooled), labels, per_class=per_class)
    # In evaluation mode a sample's loss is a function of its own embedding alone: one backward pass of the head, which
    # is small, gives the gradient of each.
    with torch.enable_grad():
        leaf = pooled.detach().requires_grad_()
        embeddings = projection(leaf)
        losses = cross_entropy(loss.logits(embeddings, labels), labels)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    by_channel, by_place = mask_gradients(maps * spatial * channel, gradient)
    slopes = sample_slopes(loss, embeddings.detach(), labels, per_class=per_class)
    return torch.cat([slopes, by_channel, by_place], 1)


def _order(source: Source) -> Int[Tensor, " samples"]:
    """Deal samples into passes so that each holds several of a class, which losses of pairs need."""
    assert source.labels is not None
    runs = source.labels.argsort(stable=True).split(4)
    return torch.cat([runs[place] for place in torch.randperm(len(runs)).tolist()])


def given_environments(kind: str, source: Source, *, environments: int) -> Float[Tensor, "samples environments"]:
    """Return logits of weights that are not learnt.

    Args:
        kind: "random": parts of equal sizes, drawn anew each time; "groups": those of the data; "scenes": the first one
            holds the samples that stand on the scene of their own class, the second one the others.
        source: the training samples.
        environments: their number.

    Raises:
        ValueError: groups or scenes are not known, or not as many as environments.
    """
    if kind == "random":
        index = torch.randperm(len(source)) % environments
    elif kind == "groups":
        index = source_groups(source, method="dcml --environments-from groups")
    else:
        if source.scenes is None or source.labels is None:
            raise ValueError(
                f"{source.name} does not say on which scene a sample stands: give data that are composed (demo, "
                "composition), or --environments-from groups"
            )
        index = (source.scenes != source.labels).long()
    hard = torch.nn.functional.one_hot(index, environments)
    return CERTAIN * (2 * hard - 1).float()


def read_environments(path: Path, source: Source, *, environments: int) -> Float[Tensor, "samples environments"]:
    """Read the weights that an earlier run left in its samples.parquet, as logits.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds other samples, or another number of environments.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: give the samples.parquet of a finished run of dcml")
    import pandas as pd  # takes a second, and few runs need it

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({one_line(error)}): train that run anew") from error
    columns = [name for name in table.columns if name.startswith("environment_")]
    if len(columns) != environments or len(table) != len(source):
        raise ValueError(
            f"{path} holds {len(columns)} environments of {len(table):,} samples, and {environments} of the "
            f"{len(source):,} of {source.name} are needed: give the file of a run on the same data with as many"
        )
    return torch.tensor(table[columns].to_numpy(), dtype=torch.float32).log().clamp_min(-2 * CERTAIN)
