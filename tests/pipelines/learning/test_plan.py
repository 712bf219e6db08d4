"""What is said of a method before any film is read."""

from pathlib import Path

import pytest

from pipelines.commands.guarantee import Plan as Planned
from pipelines.commands.guarantee import plan
from pipelines.learning.plan import planned
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
