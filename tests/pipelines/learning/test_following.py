"""Another process follows one that learns, also from where it was stopped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from together import CPU, two_processes
from torch import distributed

import pipelines.learning.learn
from medidd.data import SyntheticSet
from medidd.machine.ranks import ALONE, Ranks
from pipelines.learning.asking import asking
from pipelines.learning.learn import follow, learn
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.budget import Budget
from privacy.release import Films

STEPS = 6

Both = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with two_processes() as work:
        yield work


def films() -> Films:
    images = torch.rand(13, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    return Films(images, torch.arange(13) % 2, [str(row) for row in range(13)], {})


def how() -> Recipe:
    settings = {"batch": 5, "inner_steps": 2, "net_epochs": 1}
    return recipe(
        "dc", start="noise", ipc=1, settings=settings, classes=2, size=16, width=4, steps=STEPS
    )


def led(ranks: Ranks, folder: Path, stopped: int | None = None) -> SyntheticSet | None:
    """What the first process learns; None if it is ``stopped`` after so many steps."""
    steps = learn(
        how(),
        films(),
        stage="",
        seed=3,
        device=CPU,
        checkpoint=folder / "checkpoint",
        log=folder / "log",
        asking=asking(None, None, ranks),
        ranks=ranks,
    )
    while True:
        try:
            done = next(steps).done
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if done == stopped:
            return None


def worked(ranks: Ranks, folder: Path, stopped: int | None) -> Any:
    pipelines.learning.learn.CHECKPOINT_EVERY = 0.0
    if ranks.leads:
        made = led(ranks, folder, stopped)
        if stopped:
            distributed.destroy_process_group()  # as the end of the process does
        return made and made.images.detach()
    assert ranks.called()
    own = folder.with_name("follower")
    own.mkdir(exist_ok=True)
    seen = own / "checkpoint"
    seen.unlink(missing_ok=True)
    seen.symlink_to(folder / "checkpoint")
    try:
        follow(how(), films(), device=CPU, checkpoint=seen, ranks=ranks)
    except ConnectionError:
        distributed.destroy_process_group()
        return "left alone"
    # Whatever is written is moved into its place, and no link then.
    return "wrote nothing" if list(own.iterdir()) == [seen] and seen.is_symlink() else "wrote"


@pytest.mark.slow
def test_a_set_that_two_learned_with_a_stop_is_that_of_one(both: Both, tmp_path: Path) -> None:
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
    alone = led(ALONE, tmp_path / "alone")
    assert alone is not None
    folder = tmp_path / "together"
    assert both(tmp_path, worked, folder, 3) == [None, "left alone"]
    assert len((folder / "log").read_text().splitlines()) == 3
    learned, said = both(tmp_path, worked, folder, None)
    assert said == "wrote nothing"
    assert len((folder / "log").read_text().splitlines()) == STEPS
    torch.testing.assert_close(learned, alone.images.detach(), rtol=0, atol=1e-6)


def test_noise_is_never_shared() -> None:
    with pytest.raises(ValueError, match="one process"):
        asking(Budget(10.0, 1e-6, 10_000), None, Ranks(0, 2))
