"""Work on untrusted files, in processes that may crash, hang or fill the memory.

A decoder is C code, and must read whatever a disk has kept for twenty years. A few processes work
on the files, each on one file at a time. If a process ends on a file, only this file is lost, and
another process takes its place.
"""

import fcntl
import logging
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from medidd.machine.allocator import keep_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS = 120.0
"""Longest time for one file."""
MEMORY = 4 * 2**30
"""Bytes of address space that one process may use."""

_LONGEST = 60
"""Characters that a temporary folder's name may have. A socket's name has room for 107, and the
server's socket needs about 40 of them."""


@dataclass(frozen=True)
class Lost:
    """Why an item was lost, if its process ended on it.

    Attributes:
        code: "decoder_crash" or "timeout", a key of ``errors.REASONS``.
    """

    code: str


def isolated(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int = 0,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Iterator[tuple[Item, Result | Lost]]:
    """Yields each item with its result, in the order in which they are finished.

    Items are taken one by one, so there may be any number of them. If the caller stops early, no
    process is left behind.

    Args:
        work: the function that runs on an item in another process: a function of a module, or a
            ``partial`` of one.
        items: any items that can be pickled.
        workers: number of processes; 0 for one per usable processor.
        seconds: longest time for one item.
        memory: bytes of address space that one process may use, or fewer if the system says so.
    """
    coming = iter(items)
    count = workers or len(os.sched_getaffinity(0))
    pool = [_Worker[Item, Result](work, seconds, memory) for _ in range(count)]
    try:
        busy = {worker.pipe: worker for worker in pool if worker.take(coming)}
        while busy:
            for pipe in wait(list(busy)):
                worker = busy.pop(pipe)  # type: ignore[call-overload]
                done = worker.done()
                if worker.take(coming):
                    busy[worker.pipe] = worker
                yield done
    finally:
        for worker in pool:
            worker.end()


class _Worker(Generic[Item, Result]):
    """One process, and the item it works on."""

    def __init__(self, work: Callable[[Item], Result], seconds: float, memory: int) -> None:
        self._how = work, seconds, memory
        self._item: Item
        self._begin()

    def take(self, items: Iterator[Item]) -> bool:
        """Starts the next item; returns whether there is one."""
        for self._item in items:
            try:
                self.pipe.send(self._item)
            except OSError:  # it died while it had nothing to do
                self.end()
                self._begin()
                self.pipe.send(self._item)
            return True
        return False

    def done(self) -> tuple[Item, Result | Lost]:
        """Waits for the item, and returns it with its result."""
        try:
            return self._item, self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            late = self._process.exitcode == -signal.SIGALRM
            self.end()
            self._begin()
            return self._item, Lost("timeout" if late else "decoder_crash")

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _begin(self) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, *self._how), daemon=True
        )
        with _undisturbed():
            self._process.start()
        theirs.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Blocks interrupts in processes that start here: only this process handles them.

    A terminal sends an interrupt to all, and a process that is still loading would print a
    traceback.
    """
    resource_tracker.ensure_running()  # if it started later, it would allow interrupts again
    was = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, was)


def _context() -> ForkServerContext | SpawnContext:
    """Returns how processes start: as forks of a server, which loads the decoders only once.

    A fork of this process would copy locks that its threads hold.
    """
    if len(tempfile.gettempdir()) > _LONGEST:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["medidd.dicom.pixels.film"])
    return context


def _serve(pipe: Connection, work: Callable[[Any], Any], seconds: float, memory: int) -> None:
    """Works on what comes through the pipe until it is closed."""
    _mute()
    _end_with_command()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold a patient's film
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    allowed = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    keep_memory()
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        # The kernel ends a process that is late, even in C code and without its parent's help.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        result = work(item)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send(result)


def _end_with_command() -> None:
    """Has the kernel end this process when the command ends, whatever both are doing.

    Else a file that hangs would keep this process and the server for all its seconds.
    """
    command = multiprocessing.parent_process()
    if command is None:
        return
    # The end of the command closes this pipe: a signal, which ends a process by default.
    fcntl.fcntl(command.sentinel, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(command.sentinel, fcntl.F_GETFL)
    fcntl.fcntl(command.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    if not command.is_alive():  # it ended before it was watched
        sys.exit()


def _mute() -> None:
    """Discards all output of a process, from C code too: it may contain what a file holds."""
    logging.disable()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
