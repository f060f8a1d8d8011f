"""One comparison of a benchmark, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison with a peer, measured in one run.

    Args:
        what: what was measured.
        ours: our value, lower being better.
        peer: the peer's; None where there is none and `ours` is held against the target itself.
        ratio: what is held against the target.
        target: what the ratio should reach.
        unit: of `ours` and `peer`.
        at_most: the ratio should not exceed the target, instead of reaching it.
    """

    what: str
    ours: float
    peer: float | None
    ratio: float
    target: float
    unit: str
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def __str__(self) -> str:
        against = "" if self.peer is None else f", peer {self.peer:.4g} {self.unit}"
        wanted = f"{'at most' if self.at_most else 'at least'} {self.target:g}"
        verdict = "met" if self.met else "MISSED"
        return f"{self.what}: ours {self.ours:.4g} {self.unit}{against}; {self.ratio:.3g}, {wanted}: {verdict}"


@dataclass(frozen=True)
class LeftOut:
    """A comparison that cannot be made here, and what it lacks."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what}: left out, {self.reason}"
