"""What a user keeps: a network that takes raw samples, and can be rebuilt from a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound.data import Graphs, Sequences

if TYPE_CHECKING:
    from unconfound.encoders.started import Started

Wrapper = TypeVar("Wrapper", bound=nn.Module)


@final
class Encoder(nn.Module):
    """Raw samples -> embeddings.

    Methods may put wrappers around the network: `Morphed`, `Gated`, `Projected`. These are part of what is saved.

    Args:
        network: takes raw samples, and has the width of the embedding as `.features`: `Normalized`, or a wrapper.
        architecture: the arguments with which `build_encoder` makes the innermost network anew, and `wrappers`.

    Attributes:
        started: what its first weights are, where it was not begun at random (`start_encoder`): a run records it.
    """

    def __init__(self, network: nn.Module, *, architecture: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.started: Started | None = None

    @property
    def features(self) -> int:
        """Width of the embedding."""
        return int(self.network.features)  # type: ignore[arg-type]

    def forward(
        self,
        inputs: UInt8[Tensor, "batch channels *size"] | Float[Tensor, "batch channels *size"] | Graphs | Sequences,
    ) -> Float[Tensor, "batch features"]:
        """Embed samples.

        Args:
            inputs: images, uint8 or float in [0, 1]; rows of floats, or of uint8 pixels; graphs; sequences.

        Raises:
            ValueError: the channels or columns are not those that the encoder was built for.
        """
        embeddings: Tensor = self.network(inputs)
        return embeddings

    def wrap(self, kind: type[Wrapper], **options: Any) -> Wrapper:
        """Put a freshly made wrapper around the network from now on; it is saved with the encoder.

        Args:
            kind: of the wrapper, which is made of the network, the architecture and the options.
            options: numbers, which encoder.json holds.

        Raises:
            ValueError: the wrapper does not fit the network, or an option is out of its range.
        """
        wrapper = kind(self.network, self.architecture, **options).to(next(self.parameters()).device)
        self.network = wrapper
        self.architecture.setdefault("wrappers", []).append({"kind": kind.__name__, "options": options})
        return wrapper

    def wrapper(self, kind: type[Wrapper]) -> Wrapper:
        """Return the wrapper of a kind.

        Raises:
            ValueError: there is none.
        """
        found = find_wrapper(self, kind)
        if found is None:
            raise ValueError(f"this encoder's network is not {kind.__name__.lower()}")
        return found


def find_wrapper(encoder: object, kind: type[Wrapper]) -> Wrapper | None:
    """Return the wrapper of a kind within an encoder; None: it has none, or is a function."""
    modules = encoder.modules() if isinstance(encoder, nn.Module) else ()
    return next((module for module in modules if isinstance(module, kind)), None)
