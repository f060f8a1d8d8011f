"""No product is further off than is said, and not much less than that is said."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.nearest_rows.test_exact import KINDS, all_similarities, draw
from unconfound.functional.similarity import normalize
from unconfound.retrieval.nearest_rows.quick_similarities import Centred, Look, Whole, centre_of

LOOKS = ("whole", "float32", "bfloat16")


def look_at(name: str, queries: torch.Tensor, rows: torch.Tensor) -> Look:
    if name == "whole":
        return Whole(queries)
    return Centred(queries, centre_of([rows[:9], rows[9:]]), getattr(torch, name))


def errors(look: Look, queries: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How far each product is off the similarity, and how far it may be."""
    matrix, off = look.of(rows)
    products = (matrix @ look.queries.T).double() + look.shift
    similarities = torch.from_numpy(all_similarities(queries.numpy(), rows.numpy()).T)
    return (products - similarities).abs(), off.double()


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("features", [1, 2, 33, 512])
def test_products_are_as_near_as_is_said(name: str, kind: str, features: int) -> None:
    gallery, asked = draw(kind, 800, 70, features)
    rows, queries = torch.from_numpy(gallery), torch.from_numpy(asked)
    error, off = errors(look_at(name, queries, rows), queries, rows)
    assert (error <= off).all()


@settings(deadline=None, max_examples=60)
@given(
    points=st.lists(
        st.lists(st.floats(-1, 1, width=32, allow_subnormal=False), min_size=3, max_size=3), min_size=2, max_size=20
    ),
    name=st.sampled_from(LOOKS),
)
def test_any_points(points: list[list[float]], name: str) -> None:
    rows = normalize(torch.tensor(points))
    error, off = errors(look_at(name, rows, rows), rows, rows)
    assert (error <= off).all()


def test_what_a_cone_has_in_common_costs_no_precision() -> None:
    gallery, asked = draw("tight", 800, 70, 64)
    rows, queries = torch.from_numpy(gallery), torch.from_numpy(asked)
    spread = all_similarities(asked, gallery).std()
    assert spread < 1e-6
    _, rounded = errors(look_at("bfloat16", queries, rows), queries, rows)
    _, whole = errors(look_at("whole", queries, rows), queries, rows)
    assert rounded.max() < spread < whole.max()
