"""A method that holds another one is set by the names of all fields."""

from dataclasses import dataclass

import pytest

from medidd.architectures import convnet
from medidd.fields import fields, kinds, make, types, values
from medidd.methods import DC, DSA

F = convnet(2, 1, 8, width=3, depth=1)


@dataclass(frozen=True)
class Twice:
    """Holds one that holds one."""

    dsa: DSA
    weight: float = 2.0

    def losses(self) -> None: ...


def test_fields_of_what_is_held_stand_in_its_place_and_the_holder_is_made_of_them() -> None:
    assert list(fields(Twice)) == [*fields(DC), "augment", "weight"]
    assert list(types(Twice)) == list(fields(Twice))
    assert kinds(Twice) == (Twice, DSA, DC)
    made = make(Twice, {"network": F, "inner_steps": 4, "augment": (), "weight": 3.0})
    assert made == Twice(DSA(DC(F, inner_steps=4), augment=()), weight=3.0)
    assert make(Twice, values(made)) == made
    assert values(made)["inner_steps"] == 4


def test_an_unknown_field_and_a_value_that_what_is_held_refuses_are_errors() -> None:
    with pytest.raises(TypeError, match="batches"):
        make(DSA, {"network": F, "batches": 3})
    with pytest.raises(TypeError, match="network"):
        make(DSA, {"augment": ()})
    with pytest.raises(ValueError, match="inner_steps must be 1 or more"):
        make(DSA, {"network": F, "inner_steps": 0})
