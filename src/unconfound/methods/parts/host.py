"""What a method gives to another that builds on it, as ICL-MSR does: two views, and what it makes of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.suggestions import nearest_name


# Not frozen, for the reason given at Batch.
@dataclass(eq=False)
class Compared:
    """What a host makes of two views of each sample, with its graph.

    Args:
        loss: the host's own.
        projections: [2 batch, width] what its loss compares, of this process's samples: the first views of all, then
            the second ones. With a predictor that is its input; with a target network, the online one's.
        embeddings: [2 batch, features] the encoder's output.
        scalars: named and detached, for the log.
    """

    loss: Float[Tensor, ""]
    projections: Float[Tensor, "views width"]
    embeddings: Float[Tensor, "views features"]
    scalars: dict[str, Tensor] = field(default_factory=dict)

    def step(self) -> Step:
        """Return what the training loop takes."""
        return Step(self.loss, self.scalars, embeddings=self.embeddings.detach().float())


@runtime_checkable
class Host(Protocol):
    """A method that contrasts two views of each sample. Its `forward` is `compare(two_views(batch)).step()`.

    `compare` draws no random numbers, and whatever it changes (BatchNorm's statistics, queues, centres) are registered
    buffers: so it can be called on copies of its weights and buffers, and leaves no trace. Its options say how wide
    projections are (`projection_features`).
    """

    encoder: Encoder
    options: Any

    def two_views(self, batch: Batch) -> Float[Tensor, "views *shape"]:
        """Draw two views of each sample: [2 batch, ...], the first views of all samples, then the second ones."""
        ...

    def compare(self, views: Float[Tensor, "views *shape"]) -> Compared:
        """Compute the loss of two views of each sample."""
        ...


def host_named(name: str, options: Sequence[str], encoder: Encoder, schema: Schema) -> Method:
    """Make a host by its name.

    Args:
        name: of a method that is a host.
        options: of that method, each as NAME=VALUE.
        encoder, schema: as for every method.

    Raises:
        ValueError: an unknown host or option, a word that is no NAME=VALUE, or a value out of its range.
    """
    # The list of methods holds those that have hosts.
    from unconfound.methods import METHODS

    hosts = [known for known, kind in METHODS.items() if hasattr(kind, "compare")]
    if name not in hosts:
        raise ValueError(f"unknown host {name!r}: {nearest_name(name, hosts)}")
    kind = METHODS[name]
    known = [field.name for field in fields(kind.Options)]
    given: dict[str, Any] = {}
    for word in options:
        option, equals, value = word.partition("=")
        option = option.strip().replace("-", "_")
        if not equals:
            raise ValueError(f"--host-options takes NAME=VALUE, got {word!r}")
        if option not in known:
            raise ValueError(f"unknown option {option!r} of {name}: {nearest_name(option, known)}")
        try:
            given[option] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            given[option] = value.strip()
    return kind(encoder, schema, kind.Options(**given))
