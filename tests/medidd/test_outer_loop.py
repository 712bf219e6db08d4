"""The one loop that steps every method's S."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from medidd.data import RealSet, Source, SyntheticSet
from medidd.distill import by_ipc, distill, learned


class Bowl:
    """Half the squared distance of the images from 1, on paths of so many steps; keeps count."""

    steps = 5
    paper: ClassVar[dict] = {}

    def __init__(self, path: int = 1000) -> None:
        self.path = path
        self.asked = self.paths = 0

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        return torch.optim.SGD([synthetic.images], lr=0.5)

    def losses(self, synthetic: SyntheticSet, _: Source, __: torch.Generator) -> Iterator[Tensor]:
        self.paths += 1
        for _step in range(self.path):
            self.asked += 1
            yield (synthetic.images - 1).square().sum() / 2


@pytest.fixture
def synthetic() -> SyntheticSet:
    return SyntheticSet(torch.zeros(2, 1, 1, 1), torch.eye(2), torch.tensor(0.0))


@pytest.fixture
def real(rng: torch.Generator) -> RealSet:
    return RealSet(torch.zeros(2, 1, 1, 1), torch.arange(2), 2, rng)


def test_each_loss_is_followed_by_one_step(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator
) -> None:
    # The way to 1 is halved by every step, and each gradient is of its own loss alone.
    run = distill(Bowl(), synthetic, real, steps=3, rng=rng)
    for step, loss in enumerate(run, start=1):
        assert loss == 0.25 ** (step - 1)
        assert synthetic.images.flatten().tolist() == [1 - 0.5**step] * 2
    assert step == 3


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_no_loss_is_asked_for_beyond_the_last_step(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator, steps: int
) -> None:
    bowl = Bowl()
    assert len(list(distill(bowl, synthetic, real, steps=steps, rng=rng))) == steps
    assert bowl.asked == steps


@pytest.mark.parametrize(
    ("path", "steps", "ends"),
    [
        (1, 3, [1, 2, 3]),
        (3, 3, [3]),
        (3, 7, [3, 6, 7]),
        (5, 2, [2]),
        (2, 4, [2, 4]),
        (2, 0, []),
    ],
)
def test_between_is_called_where_a_path_ends_and_after_the_last_step(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator, path: int, steps: int, ends: list
) -> None:
    bowl, called, losses = Bowl(path), [], []

    def between(taken: int) -> None:
        called.append(taken)
        assert len(losses) == taken  # each loss has been handed out, and S stepped down it
        assert bowl.asked == taken
        assert synthetic.images.flatten()[0].item() == 1 - 0.5**taken

    for loss in distill(bowl, synthetic, real, steps=steps, rng=rng, between=between):
        losses.append(loss)  # noqa: PERF402
    assert called == ends
    assert bowl.paths == len(ends)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_s_is_not_stepped_down_a_loss_that_is_not_finite(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator, value: float
) -> None:
    class Cliff(Bowl):
        def losses(self, synthetic: SyntheticSet, *_: object) -> Iterator[Tensor]:
            yield synthetic.images.sum() + 1
            yield synthetic.images.sum() + value

    run = distill(Cliff(), synthetic, real, steps=5, rng=rng)
    assert next(run) == 1
    before = synthetic.images.detach().clone()
    with pytest.raises(FloatingPointError, match=r"not finite; lower the learning rate"):
        next(run)
    assert torch.equal(synthetic.images, before)


@pytest.mark.parametrize("read_every", [1, 2, 3, 10])
def test_losses_read_a_few_at_a_time_are_the_same_and_read_before_the_run_is_saved(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator, read_every: int
) -> None:
    bowl, got, asked, saved = Bowl(path=5), [], [], []

    def between(taken: int) -> None:
        saved.append((taken, len(got)))

    for loss in distill(
        bowl, synthetic, real, steps=7, rng=rng, between=between, read_every=read_every
    ):
        got.append(loss)
        asked.append(bowl.asked)
    assert got == [0.25**step for step in range(7)]
    assert saved == [(5, 5), (7, 7)]
    # Losses of one reading are handed out where the last of them has been asked for.
    ends = [min(end, 5) for end in range(read_every, 5 + read_every, read_every)]
    assert asked[:5] == [next(end for end in ends if end > step) for step in range(5)]


@pytest.mark.parametrize("bad", [0, 1, 2, 4, 6])
@pytest.mark.parametrize("read_every", [1, 3, 10])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_saved_or_handed_out_after_a_loss_that_is_not_finite(
    synthetic: SyntheticSet,
    real: RealSet,
    rng: torch.Generator,
    bad: int,
    read_every: int,
    fails: bool,
) -> None:
    class Cliff(Bowl):
        def losses(self, synthetic: SyntheticSet, *_: object) -> Iterator[Tensor]:
            for step in range(7):
                if fails and step > bad:
                    torch.linalg.eigh(torch.full((2, 2), torch.nan))
                yield synthetic.images.sum() * (torch.nan if step == bad else 1)

    got, saved = [], []
    run = distill(
        Cliff(), synthetic, real, steps=7, rng=rng, between=saved.append, read_every=read_every
    )
    with pytest.raises(FloatingPointError, match=r"not finite; lower the learning rate"):
        got.extend(run)
    assert len(got) == bad
    assert saved == []


def test_another_failure_is_not_taken_for_a_loss_that_is_not_finite(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator
) -> None:
    class Broken(Bowl):
        def losses(self, synthetic: SyntheticSet, *_: object) -> Iterator[Tensor]:
            yield synthetic.images.sum()
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        list(distill(Broken(), synthetic, real, steps=7, rng=rng, read_every=4))


@pytest.mark.parametrize(
    ("ipc", "value"), [(1, "a"), (2, "b"), (9, "b"), (10, "c"), (49, "c"), (50, "d"), (999, "d")]
)
def test_a_preset_is_good_up_to_the_next_greater_number(ipc: int, value: str) -> None:
    preset = {10: {"x": "c"}, 1: {"x": "a"}, 50: {"x": "d"}, 2: {"x": "b"}}
    assert by_ipc(preset, ipc) == {"x": value}


def test_below_the_least_number_the_least_preset_holds() -> None:
    assert by_ipc({10: {"x": 1}, 50: {"x": 2}}, 3) == {"x": 1}


def test_an_optimizer_that_is_given_is_the_one_used(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator
) -> None:
    given = torch.optim.SGD([synthetic.images], lr=1.0)
    list(distill(Bowl(), synthetic, real, steps=1, rng=rng, optimizer=given))
    assert synthetic.images.flatten().tolist() == [1, 1]


def test_learned_lists_the_tensors_of_every_group() -> None:
    one, two, three = (torch.zeros(1) for _ in range(3))
    optimizer = torch.optim.SGD([{"params": [one, two]}, {"params": [three]}], lr=1.0)
    assert [id(tensor) for tensor in learned(optimizer)] == [id(one), id(two), id(three)]
