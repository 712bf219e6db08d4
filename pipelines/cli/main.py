"""The medidd command: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never

import rich_click as click

from medidd.machine.allocator import keep_memory
from medidd.machine.ranks import Ranks, launched, number, scattered
from pipelines.cli import (
    dp_commands,
    film_commands,
    method_commands,
    recipient_commands,
    release_commands,
    study_commands,
    training_commands,
)
from pipelines.cli.options.groups import STYLE
from pipelines.cli.show import fitted
from pipelines.run import installation
from pipelines.run.errors import Exit, Stop

_AGAIN = "repeat the command, with --resume if it has that option"

_INTERRUPTED = "interrupted; repeat the command to continue, with --resume if it has it"

_TOLD = threading.Lock()
"""Held as soon as a person was told of an interrupt."""

_PATIENCE = 5.0
"""Seconds in which an interrupted command may tidy up by itself."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; ends with one line and an exit code, never a traceback.

    A traceback shows values, and here values belong to patients. MEDIDD_TRACEBACK=1 shows it, for
    invented films.
    """
    installation.harden()
    keep_memory()
    with _interruptible() as came:
        try:
            with launched(os.environ) as ranks:
                # The first of several processes says what is wrong with a command line.
                if ranks.leads or ranks.called():
                    medidd.main(arguments, prog_name="medidd", standalone_mode=False, obj=ranks)
        except Stop as stop:
            _end(str(stop), stop.code)
        except click.ClickException as error:
            _end(f"{error.format_message()} See {_asked(error)} --help", Exit.USAGE)
        except (KeyboardInterrupt, click.Abort):
            _interrupted(came)
        except Exception as error:
            if came:  # a library may turn an interrupt into an error of its own
                _interrupted(came)
            if os.environ.get("MEDIDD_TRACEBACK"):
                raise
            if isinstance(error, OSError):
                why = error.strerror or "input or output failed"
                _end(f"{why}; fix this and {_AGAIN}; nothing is lost", 1)
            _end(
                f"a bug in medidd ({type(error).__name__}); please report it; MEDIDD_TRACEBACK=1 "
                "shows where it is, but use that only on invented films",
                1,
            )


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Raises KeyboardInterrupt in the body at the first SIGINT or SIGTERM, which it yields.

    After it, the command only ends: other signals do not disturb it. A library may lose the
    interrupt, or compute for minutes before Python hears of it. Then a thread ends the process.
    A signal that is ignored from the start, as under nohup, stays ignored.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        sys.unraisablehook = lambda _: None  # what is lost would say so with a traceback
        came.append(number)
        raise KeyboardInterrupt

    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    before = {one: how for one, how in handlers.items() if how is not signal.SIG_IGN}
    heard, told = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(told, False)
    threading.Thread(target=_end_at_last, args=(heard,), daemon=True).start()
    wakened = signal.set_wakeup_fd(told)
    for one in before:
        signal.signal(one, interrupt)
    try:
        yield came
    finally:
        if not came:
            for one, how in before.items():
                signal.signal(one, how)
            signal.set_wakeup_fd(wakened)
            os.close(told)


def _interrupted(came: list[int]) -> Never:
    """Ends the command after a signal, at once: Python would take torch apart for seconds."""
    if not came:
        _end(_INTERRUPTED, _code(signal.SIGINT))
    if _TOLD.acquire(blocking=False):
        _say(_INTERRUPTED)
    sys.stdout.flush()
    atexit._run_exitfuncs()  # removes the folder of the processes' sockets
    os._exit(_code(*came))


def _end_at_last(heard: int) -> None:
    """Waits for a signal, and some seconds later ends the process, whatever it does."""
    number = os.read(heard, 1)
    if not number:  # the command ended by itself
        os.close(heard)
        return
    time.sleep(_PATIENCE)
    if _TOLD.acquire(blocking=False):
        if sys.stderr.isatty():
            click.echo("\x1b[?25h", err=True)  # a bar hides the cursor
        _say(_INTERRUPTED)
    os._exit(_code(*number))


def _code(number: int) -> int:
    """Returns the exit code of a command that a signal ended, as shells give it."""
    return 128 + number


def _end(message: str, code: int) -> Never:
    _say(message)
    sys.exit(code)


def _say(message: str) -> None:
    rank = number(os.environ)
    if rank and message == _INTERRUPTED:
        return  # the first process says so
    who = f"medidd (process {rank})" if rank else "medidd"
    line = f"{who}: {' '.join(message.split())}"
    columns = sys.stderr.isatty() and shutil.get_terminal_size().columns
    click.echo(fitted(line, columns), err=True)


def _asked(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "medidd"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.rich_config(help_config=STYLE)
@click.command_panel("From films to a bundle", commands=["distill", "audit", "export"])
@click.command_panel("What a recipient does", commands=["verify", "train", "test", "predict"])
@click.command_panel("What is in a folder", commands=["inspect", "ingest"])
@click.command_panel("Guarantees", commands=["dp"])
@click.command_panel("Studies of several runs", commands=["plan", "sweep", "compare"])
@click.command_panel("More on methods", commands=["methods", "experts", "denoiser", "evaluate"])
@click.command_panel("This installation", commands=["doctor", "cache"])
@click.version_option(package_name="medidd")
@click.pass_context
def medidd(context: click.Context) -> None:
    """Distill radiographs into a few synthetic images, audit them, and only then export them."""
    asked, alone = context.invoked_subcommand, context.ensure_object(Ranks).count == 1
    if not alone and asked != release_commands.distill_command.name:
        raise Stop(
            f"{asked} is the work of one process; start it without torchrun, which is for distill",
            Exit.USAGE,
        )
    if scattered(os.environ):
        raise Stop(
            "processes on several computers would send what they compute from films over the "
            "network; start all of them on one computer, with torchrun --standalone",
            Exit.USAGE,
        )


for one in (
    *release_commands.COMMANDS,
    *study_commands.COMMANDS,
    *recipient_commands.COMMANDS,
    *film_commands.COMMANDS,
    *dp_commands.COMMANDS,
    *method_commands.COMMANDS,
    *training_commands.COMMANDS,
):
    medidd.add_command(one)


if __name__ == "__main__":
    main()
