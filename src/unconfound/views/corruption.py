"""Two views of each row of a table: the row, and the row with some columns taken from other rows: SCARF's views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.functional.distributed import gather, uniform, world
from unconfound.options.views import CorruptionOptions


class CorruptedViews(nn.Module):
    """Keep each row as it is, and replace some of its columns by those of other rows.

    Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption" (ICLR 2022),
    algorithm 1: in each row, floor(rate x columns) columns, uniformly chosen, are replaced by draws from the columns'
    marginal distributions over the training rows. Here each replaced column is that of another row of the batch (over
    all processes), drawn for this row and column alone. Batches of shuffled rows make such a draw uniform over the
    other training rows, so the marginal is the paper's, and no copy of the data is kept.

    Args:
        features: of a row.
        options: how much is replaced.
        columns: features that each column of the table became, which are replaced together, so that one-hot stays
            one-hot. Each feature is a column of its own where none are given.

    Raises:
        ValueError: not even one column would be replaced.
    """

    column_of_feature: Tensor

    def __init__(self, features: int, options: CorruptionOptions | None = None, *, columns: Sequence[int] = ()) -> None:
        super().__init__()
        rate = (options or CorruptionOptions()).corruption_rate
        widths = torch.tensor(tuple(columns) or (1,) * features)
        self.columns = len(widths)
        # 0.29 x 100 is a little less than 29 in binary.
        self.corrupted = int(rate * self.columns + 1e-9)
        if not self.corrupted:
            raise ValueError(
                f"corruption_rate {rate} of {self.columns} column(s), {features} feature(s), replaces none, so that "
                f"both views are equal: give a table of more columns, or at least {1 / self.columns:.2g}"
            )
        self.register_buffer(
            "column_of_feature", torch.arange(self.columns).repeat_interleave(widths), persistent=False
        )

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "views features"]:
        """Make both views.

        Args:
            x: [batch, features] rows in random order.

        Returns:
            [2 batch, features]: the rows, then the rows with replaced columns in the same order.

        Raises:
            ValueError: the batch, over all processes, has one row.
        """
        everything = gather(x)
        if len(everything) < 2:
            raise ValueError("columns are taken from other rows, and this batch holds one: use at least two")
        batch, others = len(x), len(everything) - 1
        order = uniform(batch, self.columns, device=x.device)
        replaced = torch.zeros_like(order, dtype=torch.bool)
        replaced.scatter_(1, order.topk(self.corrupted, sorted=False).indices, True)
        own = torch.arange(batch, device=x.device)[:, None] + world()[0] * batch
        # Rounding must not reach one row too far.
        donors = (uniform(batch, self.columns, device=x.device) * others).long().clamp_max(others - 1)
        donors += donors >= own
        feature = self.column_of_feature
        return torch.cat([x, torch.where(replaced[:, feature], everything.gather(0, donors[:, feature]), x)])
