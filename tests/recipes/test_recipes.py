import pytest

from unconfound.fit_parsing import parse_fit
from unconfound.methods import METHODS
from unconfound.recipes import Recipe, list_recipes, read_recipe


@pytest.mark.parametrize("name", list_recipes())
def test_a_built_in_recipe_is_understood_and_is_of_the_method_it_is_filed_under(name):
    method, given = parse_fit([], method=None, recipe=read_recipe(name))
    assert name.partition("/")[0].removesuffix("+") in (method, "simclr+dacl")
    assert given.data.data in name or given.data.rows or name.endswith("/demo")


@pytest.mark.parametrize("method", METHODS)
def test_what_learns_a_similarity_is_tested_on_unseen_classes_unless_told_otherwise(method):
    def unseen(*flags, recipe=None):
        return parse_fit(list(flags), method=method, recipe=recipe)[1].data.unseen_classes

    assert unseen() == (method in ("dcml", "metric"))
    assert unseen("--unseen-classes")
    assert not unseen("--no-unseen-classes")
    assert not unseen(recipe=Recipe("mine", method, {"data": {"unseen_classes": False}}))


@pytest.mark.parametrize(
    ("flags", "width"),
    [
        ([], 16),
        (["--encoder", "convnet"], 16),
        (["--encoder", "resnet18"], None),
        (["--encoder=mlp"], None),
        (["--encoder", "mlp", "--width", "8"], 8),
        (["--width", "8"], 8),
    ],
)
def test_what_a_recipe_says_of_its_encoder_holds_for_no_other(flags, width):
    recipe = Recipe("mine", "simclr", {"encoder": {"encoder": "convnet", "width": 16, "pretrained": True}})
    given = parse_fit([*flags, "--epochs", "3"], method=None, recipe=recipe)[1]
    assert given.encoder.width == width
    assert given.encoder.pretrained
    assert given.training.epochs == 3
