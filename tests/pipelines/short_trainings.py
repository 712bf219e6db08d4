"""Recipients that train for a moment, and few strangers: here, or as a program of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def shortened() -> Iterator[tuple[ModuleType, str, Any]]:
    """What to set so that networks are trained for four steps, and little is tried or asked."""
    import pipelines.evaluation.ranked_sets
    import pipelines.evaluation.recipients
    import pipelines.evaluation.utility
    import pipelines.learning.step_time
    import privacy.likeness.clearness

    brief = replace(pipelines.evaluation.utility.RECIPIENT, steps=4)
    yield pipelines.evaluation.utility, "RECIPIENT", brief
    yield pipelines.evaluation.recipients, "RECIPIENT", brief
    teaching = replace(pipelines.evaluation.utility.TEACHING, steps=4, batch=16)
    yield pipelines.evaluation.utility, "TEACHING", teaching
    yield pipelines.evaluation.ranked_sets, "TEACHING", teaching
    yield pipelines.evaluation.utility, "NETWORKS", 2
    yield privacy.likeness.clearness, "STRANGERS", 60
    yield pipelines.learning.step_time, "TRIAL_UPDATES", 2


@contextmanager
def in_this_process() -> Iterator[None]:
    """Trains for a moment in here. Nobody helps then, for helpers are processes of their own."""
    import pytest

    import pipelines.commands.distill
    import pipelines.commands.evaluate

    @contextmanager
    def nothing_ahead(*_: object, **__: object) -> Iterator[None]:
        yield

    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in shortened():
            patch.setattr(module, name, value)
        for command in (pipelines.commands.distill, pipelines.commands.evaluate):
            patch.setattr(command, "networks_ahead", nothing_ahead)
        yield


def _ahead(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Starts the process that judges the baselines, shortened too."""
    python, *flags, module, run, parent, networks, elsewhere, ranking = command
    assert (flags, module) == (["-P", "-m"], "pipelines.evaluation.networks_ahead")
    asked = (run, parent, networks, elsewhere, ranking)
    return subprocess.Popen([python, __file__, module, *asked], **options)


def main(name: str, *arguments: str) -> None:
    import pipelines.evaluation.networks_ahead
    import pipelines.workers.helping
    from pipelines.cli.main import main as medidd

    for module, constant, value in shortened():
        setattr(module, constant, value)
    if name == "pipelines.evaluation.networks_ahead":
        path, parent, *asked = arguments
        pipelines.evaluation.networks_ahead.main(Path(path), int(parent), *asked)
        return
    pipelines.workers.helping.subprocess = SimpleNamespace(Popen=_ahead, DEVNULL=subprocess.DEVNULL)
    medidd([name, *arguments])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(*sys.argv[1:])
