import pytest

from unconfound.recipes import list_recipes, read_recipe
from unconfound.runs import fit_arguments


@pytest.mark.parametrize("name", list_recipes())
def test_a_built_in_recipe_is_understood_and_is_of_the_method_it_is_filed_under(name):
    method, given = fit_arguments([], method=None, recipe=read_recipe(name))
    assert name.partition("/")[0].removesuffix("+") in (method, "simclr+dacl")
    assert given.data.data in name or given.data.rows or name.endswith("/demo")
