"""Progress on stderr: a bar with loss and remaining time, or plain lines where nobody watches."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Rich

from pipelines.run.progress import Progress, Stages


class Bars:
    """One bar per stage. Without a terminal, one line per finished stage."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._rich = Rich(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._last: Progress | None = None
        self._stages = Stages()

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._stages.passed(None)
            self._finish()
        self._rich.stop()

    def show(self, progress: Progress) -> None:
        """Brings the screen up to date."""
        self._stages.passed(progress)
        if self._last is not None and self._last.stage != progress.stage:
            self._finish()
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._rich.add_task(progress.stage, note="")
        self._rich.update(
            self._tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            note=progress.note,
        )
        self._last = progress

    def _finish(self) -> None:
        if self._last is not None and not self._console.is_terminal:
            last = self._last
            note = f", {last.note}" if last.note else ""
            seconds = self._stages.of(last.stage)
            line = f"{last.stage}: {last.done}/{last.total}{note}, {seconds:.0f} s"
            self._console.print(line, highlight=False, soft_wrap=True)
