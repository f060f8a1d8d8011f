"""What every source yields and every method takes."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor


# Not frozen: Lightning Fabric rebuilds the dataclasses that pass through a wrapped module and refuses frozen ones.
@dataclass(eq=False)
class Batch:
    """Some samples of a data set.

    Images are uint8, or float in [0, 1]; rows of a table are float. Samples without a label carry the label -1;
    `labels` is None where the whole data set has none. Masks are 1 on the foreground.
    """

    inputs: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch *sample"]
    index: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"] | None = None
    groups: Int[Tensor, " batch"] | None = None
    masks: Bool[Tensor, "batch 1 height width"] | None = None

    def __len__(self) -> int:
        return len(self.inputs)
