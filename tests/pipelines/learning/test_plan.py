"""What is said of a method before any film is read."""

from pathlib import Path

import pytest

from pipelines.commands.guarantee import Plan as Planned
from pipelines.commands.guarantee import plan
from pipelines.learning.plan import planned, too_few
from pipelines.learning.recipe import recipe
from pipelines.run.budget import Budget
from pipelines.run.errors import Stop


@pytest.mark.parametrize("name", ["mtt", "tesla"])
def test_a_method_whose_experts_asked_needs_no_patients(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there are no experts
    made = recipe(
        name, start="noise", ipc=1, settings={}, classes=2, size=16, width=4, private=True
    )
    costs = planned(made, Budget(1.0), 16)
    assert (costs.releases, costs.numbers) == (0, 0)
    costs.require(20)
    with pytest.raises(Stop, match="its experts ask"):
        plan(Planned(Budget(1.0), method=name))


@pytest.mark.parametrize(("members", "few"), [(206, True), (493, True), (494, False)])
def test_of_few_patients_it_is_said_what_their_images_are_worth(members: int, few: bool) -> None:
    found = too_few({"releases": 1, "numbers": 5510, "sigma": 1.993}, members)
    assert ("no better than as many random films" in found) == few
    assert ("about 494 would do" in found) == few
