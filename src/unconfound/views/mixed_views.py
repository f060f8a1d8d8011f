"""Two views of each sample by mixing a little of other samples of the batch into it: DACL's views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unconfound.functional.distributed import gather, uniform, world
from unconfound.functional.mixing import binary_mix, geometric_mix, linear_mix
from unconfound.options.views import MixingFunction, MixingOptions


class MixedViews(nn.Module):
    """Make DACL's views of a batch: both in one buffer, each sample mixed with another partner in each view.

    Verma et al., "Towards Domain-Agnostic Contrastive Learning" (ICML 2021), algorithm 1. By default partners are a
    cyclic shift of the batch by a random step, one a view: each sample's partner is then uniform over the other
    samples, as in the paper, though not independent of its neighbours' partners; nothing is gathered. Where the batch
    is spread over processes, partners come from all of it.

    Args:
        options: how samples are mixed.
        columns: features that each column of a table became; the features of a column stay together in a binary mix,
            so that one-hot stays one-hot. Each feature is a column of its own where none are given.
    """

    column_of_feature: Tensor | None

    def __init__(self, options: MixingOptions | None = None, *, columns: Sequence[int] = ()) -> None:
        super().__init__()
        self.options = options or MixingOptions()
        widths = torch.tensor(tuple(columns), dtype=torch.long)
        column_of_feature = torch.arange(len(widths)).repeat_interleave(widths) if len(widths) else None
        self.register_buffer("column_of_feature", column_of_feature, persistent=False)

    def forward(self, x: Float[Tensor, "batch *sample"]) -> Float[Tensor, "views *sample"]:
        """Make both views of each sample.

        Args:
            x: [batch, ...] samples in [0, 1], or representations, to which gradients flow back.

        Returns:
            [2 batch, ...]: the first views in the order of the batch, then the second ones.

        Raises:
            ValueError: the batch, over all processes, has one sample; or a geometric mix of negative values.
        """
        everything = gather(x)
        if len(everything) < 2:
            raise ValueError("mixing takes a partner from the batch, and this batch holds one sample: use at least two")
        functions = self._functions(len(everything), len(x))
        if x.requires_grad:
            views = (self._view(x, everything, functions, mixed=mixed) for mixed in self._mixed())
            return torch.cat([piece for pieces in views for piece in pieces])
        buffer = x.new_empty(2 * len(x), *x.shape[1:])
        for out, mixed in zip(buffer.chunk(2), self._mixed(), strict=True):
            self._view(x, everything, functions, mixed=mixed, out=out)
        return buffer

    def _mixed(self) -> tuple[bool, bool]:
        return self.options.mixed_views == 2, True

    def _functions(self, whole: int, batch: int) -> list[tuple[int, int, MixingFunction]]:
        """Return runs of this process's rows, in their order, as (start, stop, function).

        Each sample's function is uniform over all of them: as many independent draws are counted, and the counts laid
        out one after the other from a random row on. Nothing but the rows of a function is computed for it.
        """
        functions = self.options.functions
        if len(functions) == 1:
            return [(0, batch, functions[0])]
        counts = torch.randint(len(functions), (whole,)).bincount(minlength=len(functions))
        start, offset, runs = int(torch.randint(whole, ())), world()[0] * batch, []
        for function, count in zip(functions, counts.tolist(), strict=True):
            # Rows that would lie beyond the last one are the first ones.
            for first, last in ((start, min(start + count, whole)), (0, start + count - whole)):
                low, high = max(first - offset, 0), min(last - offset, batch)
                if low < high:
                    runs.append((low, high, function))
            start = (start + count) % whole
        return sorted(runs)

    def _view(
        self,
        x: Tensor,
        everything: Tensor,
        functions: Sequence[tuple[int, int, MixingFunction]],
        *,
        mixed: bool,
        out: Tensor | None = None,
    ) -> list[Tensor]:
        """Return one view of each sample in pieces, which lie one after the other in `out` where it is given."""
        if not mixed:
            return [x if out is None else out.copy_(x)]
        batch, step = len(x), world()[0] * len(x)
        if self.options.partners == "shift":
            step += int(torch.randint(1 if self.options.exclude_self else 0, len(everything), ()))
        else:
            everything, step = everything[self._independent(batch, len(everything), x.device)], 0
        if x.requires_grad and step:
            # All at once: the backward pass of each slice would fill a whole batch with zeros and add it up.
            everything, step = everything.roll(-step, dims=0), 0
        shares = uniform(batch, device=x.device).to(x.dtype)
        if self.options.shares == "batch":
            shares = gather(shares)[:1].expand(batch)
        keep = self._keep(x) if "binary" in self.options.functions else None
        pieces = []
        for start, stop, function in functions:
            lowest = self.options.linear_low if function == "linear" else self.options.geometric_low
            # In [0, 1] by the options and whatever the rounding, so that nothing waits for a GPU to check it.
            weight = lowest + (1 - lowest) * shares
            for low, high, first in _unbroken(start, stop, step, len(everything)):
                own, partner = x[low:high], everything[first : first + high - low]
                into = None if out is None else out[low:high]
                if keep is not None and function == "binary":
                    pieces.append(binary_mix(own, partner, keep[low:high], out=into))
                elif function == "linear":
                    pieces.append(linear_mix(own, partner, weight[low:high], out=into, checked=False))
                else:
                    floor = self.options.floor
                    pieces.append(geometric_mix(own, partner, weight[low:high], floor=floor, out=into, checked=False))
        return pieces

    def _independent(self, batch: int, whole: int, device: torch.device) -> Int[Tensor, " batch"]:
        """Draw a partner for each row of this process: one of all others, each with equal probability."""
        rows = torch.arange(batch, device=device) + world()[0] * batch
        others = whole - 1 if self.options.exclude_self else whole
        drawn = (uniform(batch, device=device).double() * others).long()
        return drawn + (drawn >= rows) if self.options.exclude_self else drawn

    def _keep(self, x: Tensor) -> Bool[Tensor, "batch *sample"]:
        columns = self.column_of_feature
        shape = x.shape[1:] if columns is None else (int(columns[-1]) + 1,)
        keep = uniform(len(x), *shape, device=x.device) < self.options.keep
        return keep if columns is None else keep[:, columns]


def _unbroken(start: int, stop: int, step: int, whole: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, stop, first partner) of runs of rows whose partners, `step` rows on, are an unbroken run, too."""
    while start < stop:
        first = (start + step) % whole
        end = min(stop, start + whole - first)
        yield start, end, first
        start = end
