"""A hospital may choose its policy, but none that lets films themselves leave."""

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from pydantic import ValidationError

from privacy import Level, Policy, load_policy
from privacy.policy import FLOOR, FOREIGN_FLOOR


def own() -> dict[str, Any]:
    return tomllib.loads(files("privacy").joinpath("policy.toml").read_text())


def without(name: str, level: Level) -> dict[str, Any]:
    required = own()["required"]
    required[level] = [one for one in required[level] if one not in (name, "G2")]
    return {"required": required}


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("name", sorted({*FLOOR, *FOREIGN_FLOOR}))
def test_no_level_can_do_without_what_finds_films(name: str, level: Level) -> None:
    if name not in own()["required"][level]:
        assert level is Level.FOREIGN
        return
    with pytest.raises(ValidationError, match=f"required.{level}: no policy can do without {name}"):
        Policy.model_validate(own() | without(name, level))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("residual_risk", 0.21),
        ("least_controls", 19),
        ("least_controls_tail", 151),
        ("starts_without_films", ["noise", "random"]),
        ("starts_without_films", ["noise", "denoiser"]),  # what a model drew is not free of films
        ("starts_through_a_model", ["denoiser", "random"]),
        ("outgoing", [*own()["outgoing"], "*"]),
        ("outgoing", ["*/*.png"]),
        ("statistical", ["A1", "G3"]),  # what is corrected for its number need not fail
    ],
)
def test_no_limit_can_be_given_away(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Policy.model_validate(own() | {name: value})


@pytest.mark.parametrize(
    ("changes", "weaker"),
    [
        ({}, False),
        ({"residual_risk": 0.15}, True),
        ({"residual_risk": 0.05}, False),
        ({"least_controls": 20}, True),
        ({"least_controls": 80}, False),
        ({"least_controls_tail": 100}, False),
        ({"starts_without_films": ["noise"], "outgoing": ["labels.csv"]}, False),
        ({"starts_through_a_model": []}, False),
        (without("A7", Level.FULL), True),
        (without("A5c", Level.FOREIGN), True),
    ],
)
def test_what_asks_for_less_than_medidds_own_is_known(
    changes: dict[str, Any], weaker: bool
) -> None:
    assert Policy.model_validate(own() | changes).is_weaker is weaker
    assert not load_policy().is_weaker


def test_a_policy_that_knows_no_start_through_a_model_accepts_none() -> None:
    older = own()
    del older["starts_through_a_model"]
    assert Policy.model_validate(older).starts_through_a_model == ()
