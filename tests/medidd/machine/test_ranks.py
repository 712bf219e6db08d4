"""Several processes find, call and dismiss each other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from together import CPU, two_processes
from torch.distributed import HashStore

from medidd.machine.ranks import ALONE, Ranks, launched, number, scattered

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1",
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "2",
}
"""What torchrun tells the second of two processes."""


@pytest.fixture(scope="module")
def both() -> Iterator[Callable[..., list[Any]]]:
    with two_processes() as work:
        yield work


def test_without_torchrun_a_process_is_alone() -> None:
    for environment in ({}, {"WORLD_SIZE": "8", "RANK": "3"}, TORCHRUN | {"WORLD_SIZE": "1"}):
        assert number(environment) == 0
        with launched(environment) as ranks:
            assert ranks is ALONE
            assert ranks.called()


def test_a_process_knows_its_number_and_whether_others_are_elsewhere() -> None:
    assert number(TORCHRUN) == 1
    assert not scattered(TORCHRUN)
    assert scattered(TORCHRUN | {"WORLD_SIZE": "4"})


def test_who_waits_is_dismissed_if_there_is_nothing_to_share() -> None:
    store = HashStore()
    Ranks(0, 2, store).dismiss()
    assert not Ranks(1, 2, store).called()


def aligned(ranks: Ranks) -> tuple[bool, torch.Tensor]:
    called = ranks.leads or ranks.called()
    held = torch.full((2, 3), float(ranks.rank), requires_grad=True)
    with ranks.together(CPU):
        ranks.align([held])
    ranks.dismiss()
    return called and ranks.called(), held.detach()


def test_who_was_called_is_not_dismissed_and_gets_the_values_of_the_first(
    both: Callable[..., list[Any]], tmp_path: Path
) -> None:
    for called, held in both(tmp_path, aligned):
        assert called
        assert torch.equal(held, torch.zeros(2, 3))


def left(ranks: Ranks) -> str:
    with ranks.together(CPU):
        if ranks.leads:
            try:
                ranks.summed([torch.ones(3)])
            except ConnectionError as error:
                return str(error.strerror)
    return ""


def test_who_is_left_alone_is_told(both: Callable[..., list[Any]], tmp_path: Path) -> None:
    assert both(tmp_path, left) == ["another process of this distillation has ended", ""]
