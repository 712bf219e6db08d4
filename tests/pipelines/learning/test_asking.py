"""Whatever a method does with noisy answers, it sees nothing else of the films."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from medidd.data import Question, SyntheticSet
from medidd.methods import METHODS
from pipelines.learning.asking import Privately, asking
from pipelines.learning.learn import learn
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.budget import Budget
from pipelines.run.seeds import generator
from privacy.dp.mechanism import BudgetSpentError
from privacy.release import Films

BUDGET = Budget(10.0, 1e-6, 10_000)
CPU = torch.device("cpu")
SHORT: Mapping[str, Any] = {
    **{name: {"steps": 2} for name in ("class-mean", "dc", "dsa", "kip", "label-solve", "rfad")},
    "frepo": {"steps": 3, "pool": 2, "online": 2},
    "dd": {"steps": 2, "epochs": 3},
    "soft-label": {"steps": 2, "horizon": 4, "window": 2},
    "dm": {"steps": 3, "bank": 2},
    "idc": {"steps": 3},
    "moments": {},
}


def films(patients: int) -> Films:
    """Some films; every other one is of class 1, and a patient has two."""
    rng = torch.Generator().manual_seed(patients)
    images = torch.rand(2 * patients, 1, 16, 16, generator=rng)
    names = [f"{row // 2}" for row in range(2 * patients)]
    return Films(images, torch.arange(2 * patients) % 2, names, {})


def learned(made: Recipe, of: Films, folder: Path) -> SyntheticSet:
    steps = learn(
        made,
        of,
        stage="",
        seed=3,
        device=CPU,
        checkpoint=folder / "checkpoint",
        log=folder / "log",
        asking=asking(BUDGET, folder / "answers"),
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"mtt", "tesla", "minimax"}))
def test_the_same_answers_give_the_same_release_whatever_the_films(
    name: str, tmp_path: Path
) -> None:
    made = recipe(
        name,
        start="noise",
        ipc=2,
        settings=SHORT[name],
        classes=2,
        size=16,
        width=4,
        private=True,
    )
    one = learned(made, films(4), tmp_path / "one")
    answers = tmp_path / "one" / "answers"
    assert len(list(answers.iterdir())) == made.releases
    shutil.copytree(answers, tmp_path / "other" / "answers")
    other = learned(made, films(9), tmp_path / "other")
    for field, tensor in one.tensors().items():
        assert torch.equal(tensor, other.tensors()[field]), field
    assert (tmp_path / "one" / "log").read_bytes() == (tmp_path / "other" / "log").read_bytes()


def test_a_method_that_asks_nothing_gets_no_answer() -> None:
    real = Privately(BUDGET, None)(0, 2, films(4), CPU, generator(0))
    with pytest.raises(BudgetSpentError):
        real.means([Question(lambda x, _: x.mean(0), (0,))], size=1)
