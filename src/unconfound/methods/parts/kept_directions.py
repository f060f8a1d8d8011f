"""The last step of a training: a linear layer behind the encoder that keeps what views of a sample have in common."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from unconfound.encoders import Encoder, Projected
from unconfound.functional.erasure import within_pair_whitening


def keep_common_directions(
    encoder: Encoder, versions: Float[Tensor, "samples versions features"], *, directions: int
) -> str:
    """Put `within_pair_whitening` behind the network of an encoder, as a linear layer that is saved with it.

    Args:
        encoder: changed in place.
        versions: its embeddings of several views of each sample.
        directions: to be kept; fewer where the embeddings are narrower or vary in fewer.

    Returns:
        In plain words what was done, or why nothing was: where all embeddings are equal, no direction can be chosen.
    """
    features = versions.shape[2]
    try:
        change = within_pair_whitening(versions, directions=min(directions, features))
    except ValueError as error:
        return f"the embeddings stay as they are: {error}"
    encoder.wrap(Projected, features=len(change.matrix)).take(change.matrix, change.bias)
    return (
        f"kept the {len(change.matrix)} of {features} whitened directions in which {versions.shape[1]} views of each "
        f"of {len(versions):,} samples agree most"
    )
