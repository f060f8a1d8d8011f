from __future__ import annotations

import pytest
import torch
from torch import nn

from unconfound.functional.erasure import AffineMap
from unconfound.mending.remedies import Remedy
from unconfound.mending.saved_remedy import load_remedy, save_remedy


def remedy(*, mapped: bool) -> Remedy:
    torch.manual_seed(0)
    change = AffineMap(torch.randn(4, 6).double(), torch.randn(4).double()) if mapped else None
    return Remedy(change, nn.Linear(4 if mapped else 6, 3))


@pytest.mark.parametrize("mapped", [True, False])
def test_a_remedy_comes_back(tmp_path, mapped):
    made, rows = remedy(mapped=mapped), torch.randn(5, 6)
    save_remedy(tmp_path / "new", made, classes=("a", "b", "c"), how={"way": "leace"})
    found = load_remedy(tmp_path / "new")
    assert torch.equal(found.of(rows), made.of(rows))
    assert torch.equal(found.logits(rows), made.logits(rows))
    assert (tmp_path / "new/map.safetensors").is_file() == mapped


def test_a_folder_is_replaced_only_where_it_holds_a_remedy(tmp_path):
    save_remedy(tmp_path / "new", remedy(mapped=True), classes=("a",), how={})
    with pytest.raises(ValueError, match="holds another remedy: choose another --out"):
        save_remedy(tmp_path / "new", remedy(mapped=False), classes=("a",), how={})
    save_remedy(tmp_path / "new", remedy(mapped=False), classes=("a",), how={}, overwrite=True)
    assert load_remedy(tmp_path / "new").change is None
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(ValueError, match="holds files but no remedy"):
        save_remedy(tmp_path / "other", remedy(mapped=False), classes=("a",), how={}, overwrite=True)


def test_what_is_damaged_or_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no remedy.json"):
        load_remedy(tmp_path)
    save_remedy(tmp_path / "new", remedy(mapped=True), classes=("a",), how={})
    other = tmp_path / "other"
    save_remedy(other, remedy(mapped=False), classes=("a",), how={})
    (other / "classifier.safetensors").replace(tmp_path / "new/classifier.safetensors")
    with pytest.raises(ValueError, match="holds parts of several remedies"):
        load_remedy(tmp_path / "new")
    (tmp_path / "new/classifier.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="holds no classifier"):
        load_remedy(tmp_path / "new")
    (tmp_path / "new/remedy.json").write_text("{}")
    with pytest.raises(ValueError, match=r"remedy.json is damaged"):
        load_remedy(tmp_path / "new")
