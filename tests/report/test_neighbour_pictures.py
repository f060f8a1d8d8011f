import torch

from unconfound.data import MemorySource, Schema
from unconfound.evaluation.embeddings import Embeddings
from unconfound.report.neighbour_pictures import queries


def source(labels):
    schema = Schema("tables", (1,), ("a", "b"))
    rows = torch.arange(len(labels), dtype=torch.float32)[:, None]
    return MemorySource("t", schema, rows, torch.tensor(labels), names=[f"row {i}" for i in range(len(labels))])


def test_neighbours_are_ordered_by_cosine_and_leave_the_sample_itself_out():
    angles = torch.tensor([0.0, 0.5, 0.1, 3.0, 1.0])
    labels = [0, 0, 1, 1, -1]
    # Length must not matter: the nearest by angle is also the one farthest away.
    features = torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor([1.0, 2.0, 50.0, 1.0, 1.0])[:, None]
    data = source(labels)
    embeddings = Embeddings(features, torch.arange(5), data.labels)
    (query,) = queries(embeddings, data, embeddings, data, torch.tensor([0]), neighbours=3, names=["x"])
    assert query.sample.name == "row 0"
    assert [each.sample.name for each in query.neighbours] == ["row 2", "row 1", "row 4"]
    assert [each.hit for each in query.neighbours] == [False, True, None]
    torch.testing.assert_close(
        torch.tensor([each.similarity for each in query.neighbours]), torch.tensor([0.1, 0.5, 1.0]).cos()
    )


def test_a_query_from_another_set_leaves_its_own_sample_in_the_gallery_out():
    data = source([0, 1, 0])
    asked = Embeddings(torch.eye(3), torch.arange(3), data.labels)
    # The gallery lists the samples in another order: positions count, not rows.
    gallery = Embeddings(torch.eye(3)[[2, 1, 0]] + 0.1, torch.tensor([2, 1, 0]), torch.tensor([0, 1, 0]))
    answers = queries(asked, data, gallery, data, torch.tensor([0, 2]), neighbours=9, names=["x"])
    assert [{each.sample.name for each in answer.neighbours} for answer in answers] == [
        {"row 1", "row 2"},
        {"row 0", "row 1"},
    ]
