"""The folder of a run belongs to one process at a time."""

from pathlib import Path

import pytest

from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Run, claimed


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    place = Run(tmp_path / "run")
    with claimed(place, {"seed": 1}, resume=False):
        with (
            pytest.raises(Stop, match="another process") as stop,
            claimed(place, {"seed": 1}, resume=True),
        ):
            pass
        assert stop.value.code == Exit.USAGE
        assert place.job.exists()
    with claimed(place, {"seed": 1}, resume=True):
        pass
