"""From names and settings to methods."""

import math
import re
from typing import Any

import pytest

from medidd.fields import fields, values
from medidd.kernels import KERNELS
from medidd.methods import METHODS
from medidd.network import Several
from medidd.starts import STARTS
from pipelines.commands.methods import attributes, markdown, table
from pipelines.learning.recipe import Recipe, recipe, usual_start
from pipelines.learning.settings import INGREDIENTS, TRAINED, settable
from pipelines.run.errors import Exit, Stop
from privacy.release import FREE, PROBABILITIES

PRESETS = [(name, ipc) for name, kind in METHODS.items() for ipc in kind.paper]


def made(name: str, **changed: Any) -> Recipe:
    options = {"start": "noise", "ipc": 2, "settings": {}, "classes": 3, "size": 16, "width": 4}
    return recipe(name, **options | changed)


def refusal(name: str, **settings: Any) -> str:
    """What is said of settings that cannot be."""
    with pytest.raises(Stop) as stop:
        made(name, settings=settings)
    assert stop.value.code == Exit.USAGE
    return str(stop.value)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_built_with_its_own_defaults(name: str) -> None:
    built = made(name)
    method: Any = built.method
    default = {of: field.default for of, field in fields(METHODS[name]).items()}
    objects = {*INGREDIENTS, *TRAINED} & default.keys()
    assert objects or name == "class-mean"
    assert built.fields == {of: default[of] for of in default if of not in objects}
    if "network" in objects:
        assert values(method)["network"] == built.networks["convnet"]
    if "kernel" in objects:
        assert values(method)["kernel"] == KERNELS["fc"]()
    assert built.steps == default["steps"]
    assert (built.start, built.classes, built.ipc) == ("noise", 3, 2)
    assert built.shown == (8 if name == "idc" else 2)


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
def test_every_field_but_what_is_trained_beforehand_can_be_set(name: str) -> None:
    assert set(settable(METHODS[name])) == fields(METHODS[name]).keys() - set(TRAINED)
    for field in TRAINED:
        assert f"unknown field '{field}'" in refusal(name, **{field: "here"})


def test_a_method_begins_where_it_learns_most_and_a_private_one_from_noise() -> None:
    assert (
        usual_start("rfad", private=False) == usual_start("frepo", private=False) == "closed-form"
    )
    assert usual_start("rfad", private=True) == usual_start("dm", private=False) == "noise"
    assert usual_start("kmeans", private=False) == "noise"


def test_networks_and_kernels_are_set_by_their_names() -> None:
    built = made("dm", settings={"network": "mlp"})
    assert built.method.network == built.networks["mlp"]  # type: ignore[union-attr]
    assert built.method.network != built.networks["convnet"]  # type: ignore[union-attr]
    both = made("dm", settings={"network": "mlp+convnet"})
    assert both.method.network == Several((built.networks["mlp"], built.networks["convnet"]))  # type: ignore[union-attr]
    assert "unknown network 'vgg'" in refusal("dm", network="mlp+vgg")
    kernel = made("kip", settings={"kernel": "conv"}).method.kernel  # type: ignore[union-attr]
    assert kernel == KERNELS["conv"]()
    assert "convnet" in refusal("dm", network="perceptron")
    assert "'fc'" in refusal("kip", kernel="rbf")
    assert "unknown field 'kernel'" in refusal("dm", kernel="fc")
    assert "unknown field 'network'" in refusal("kip", network="mlp")


@pytest.mark.parametrize(
    "name", [name for name in METHODS if "constraint" in fields(METHODS[name])]
)
def test_labels_are_probabilities_unless_a_setting_frees_them(name: str) -> None:
    free = {"constraint": "none"}
    assert made(name).digits == PROBABILITIES
    assert made(name, settings=free).digits == FREE
    assert made(name, settings=free, teachers=2).digits == PROBABILITIES


def test_a_whole_number_is_taken_for_a_step_size_and_not_the_other_way_round() -> None:
    assert made("dm", settings={"lr_images": 1}).method.lr_images == 1.0  # type: ignore[union-attr]
    assert "'batch'" in refusal("dm", batch=1.5)
    assert "'batch'" in refusal("dm", batch=True)


FROM_ZERO = {"last_start", "bank", "sketch", "refined", "online"}


@pytest.mark.parametrize("name", METHODS)
def test_no_field_counts_to_zero_or_goes_backwards(name: str) -> None:
    for field in fields(METHODS[name]).values():
        if isinstance(field.default, int | float):
            assert f"'{field.name}'" in refusal(name, **{field.name: -1})
        drawn = name == "minimax" and field.name == "steps"
        if isinstance(field.default, int) and field.name not in FROM_ZERO and not drawn:
            assert f"'{field.name}'" in refusal(name, **{field.name: 0})
        if isinstance(field.default, float):
            for value in (math.nan, math.inf):
                assert "finite" in refusal(name, **{field.name: value})


def test_an_expert_may_be_met_at_its_first_epoch_and_a_seed_may_be_zero() -> None:
    assert made("mtt", settings={"last_start": 0}).fields["last_start"] == 0
    for name in ("dc", "dsa", "idc"):
        assert made(name, settings={"sketch": 0}).fields["sketch"] == 0
    assert made("dm", settings={"bank": 0}).fields["bank"] == 0
    assert made("moments", settings={"refined": 0}).fields["refined"] == 0
    assert made("dd", settings={"weights_seed": 0}).fields["weights_seed"] == 0
    for value in (-1, 2**63):
        assert "'weights_seed'" in refusal("dd", weights_seed=value)


def test_operations_that_there_are_not_are_refused_by_those_there_are() -> None:
    told = refusal("dsa", augment=["crop", "mirror"])
    assert "'augment'" in told
    assert "'flip'" in told
    assert made("dsa", settings={"augment": ["crop"]}).fields["augment"] == ("crop",)
    assert made("dsa", settings={"augment": []}).fields["augment"] == ()


def test_what_a_method_cannot_begin_with_is_refused_before_any_film_is_read() -> None:
    assert "at most 2" in refusal("dd", batches=3)
    assert made("dd", settings={"batches": 2}).fields["batches"] == 2


@pytest.mark.parametrize(("name", "ipc"), PRESETS)
def test_the_preset_of_a_paper_can_be_built_and_what_is_set_wins(name: str, ipc: int) -> None:
    preset = METHODS[name].paper[ipc]
    built = made(name, ipc=ipc, preset="paper")
    assert {of: built.fields[of] for of in preset} == dict(preset)
    own = made(name, ipc=ipc).fields
    assert {of: built.fields[of] for of in own if of not in preset} == {
        of: own[of] for of in own if of not in preset
    }
    assert made(name, ipc=ipc, preset="paper", settings={"steps": 5}).steps == 5
    assert made(name, ipc=ipc, preset="paper", steps=4, settings={"steps": 5}).steps == 4


def test_between_two_settings_of_a_paper_the_smaller_holds() -> None:
    steps = {ipc: made("dc", ipc=ipc, preset="paper").steps for ipc in (1, 9, 10, 15, 60)}
    assert steps == {1: 1_000, 9: 1_000, 10: 10_000, 15: 10_000, 60: 50_000}


def test_the_table_of_methods_explains_every_field_and_every_start() -> None:
    lines = table().splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for name, kind in METHODS.items():
        assert f" {name}: " in text
        for field in settable(kind):
            assert attributes(kind)[field]
            assert f" {field} = " in text
    for name, start in STARTS.items():
        assert f" {name}: {start.text}" in text
    assert "network = convnet (convnet | convnet-shallow | " in text
    assert "kernel = fc (fc | conv)" in text
    assert " Paper: 1000 from ipc 1, 10000 from ipc 10" in text
    assert " Paper: 0.01 from ipc 1, 0.001 from ipc 10." in text


def test_the_table_for_the_readme_has_a_row_for_every_method_and_a_link_in_each() -> None:
    head, rule, *rows = markdown().splitlines()
    assert head.startswith("| name | paper | learns |")
    assert rule.count("|") == head.count("|")
    assert [row.split("`")[1] for row in rows] == list(METHODS)
    for row in rows:
        assert row.count("|") == head.count("|")
        assert re.search(r"\[arXiv:(\d{4}\.\d{5})\]\(https://arxiv\.org/abs/\1\)", row)


@pytest.mark.parametrize("size", [50, 250])
def test_a_size_that_no_denoiser_has_is_refused_for_methods_that_draw_alone(size: int) -> None:
    assert made("dm", size=size).name == "dm"
    with pytest.raises(Stop, match="--size: a denoiser draws images of") as stop:
        made("minimax", size=size)
    assert stop.value.code == Exit.USAGE


def test_a_method_that_draws_begins_with_noise_and_says_that_a_model_drew_its_images() -> None:
    drawn = made("minimax")
    assert (drawn.start, drawn.origin) == ("noise", "denoiser")
    assert made("dm", start="kmeans").origin == "kmeans"
    with pytest.raises(Stop, match="--start kmeans: minimax draws its images from noise"):
        made("minimax", start="kmeans")


def test_under_a_guarantee_a_method_that_draws_asks_nothing_itself() -> None:
    drawn = made("minimax", private=True)
    assert (drawn.steps, drawn.releases) == (0, 0)
    with pytest.raises(Stop, match="--steps 5: under a guarantee minimax only draws") as stop:
        made("minimax", private=True, steps=5)
    assert stop.value.code == Exit.USAGE
