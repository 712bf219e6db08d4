"""From names and settings to methods."""

from typing import Any

import pytest

from medidd.methods import METHODS
from medidd.starts import STARTS
from pipelines.methods import attributes, table
from pipelines.recipe import Recipe, recipe, settable
from pipelines.stop import Exit, Stop


def made(name: str, **changed: Any) -> Recipe:
    options = {"start": "noise", "ipc": 2, "settings": {}, "classes": 3, "size": 16, "width": 4}
    return recipe(name, **options | changed)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_built_with_its_own_defaults(name: str) -> None:
    built = made(name)
    plain = METHODS[name](network=built.networks["convnet"])
    assert built.method == plain
    assert built.steps == plain.steps
    assert (built.start, built.classes, built.ipc) == ("noise", 3, 2)


@pytest.mark.parametrize("name", METHODS)
def test_steps_of_the_command_line_win(name: str) -> None:
    assert made(name, steps=7, settings={"steps": 9}).steps == 7
    assert made(name, settings={"steps": 9}).steps == 9


@pytest.mark.parametrize("name", STARTS)
def test_a_start_is_a_recipe_without_a_method(name: str) -> None:
    built = made(name, start="noise")
    assert built.method is None
    assert (built.start, built.steps) == (name, 0)


@pytest.mark.parametrize("name", METHODS)
def test_every_field_but_the_network_can_be_set(name: str) -> None:
    assert "network" not in settable(METHODS[name])
    assert "steps" in settable(METHODS[name])
    with pytest.raises(Stop, match="unknown field 'network'") as stop:
        made(name, settings={"network": 1})
    assert stop.value.code == Exit.USAGE


def test_a_whole_number_is_taken_for_a_step_size_and_not_the_other_way_round() -> None:
    assert made("dm", settings={"lr_images": 1}).method.lr_images == 1.0  # type: ignore[union-attr]
    with pytest.raises(Stop, match="'batch'"):
        made("dm", settings={"batch": 1.5})


def test_the_table_of_methods_explains_every_field_and_every_start() -> None:
    text = table()
    for name, kind in METHODS.items():
        assert f"  {name}: " in text
        for field in settable(kind):
            assert attributes(kind)[field]
            assert f"    {field} = " in text
    for name, start in STARTS.items():
        assert f"  {name}: {start.text}" in text
