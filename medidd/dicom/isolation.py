"""Work on files nobody trusts, in processes that may crash, hang or fill the memory.

A decoder is C code that meets whatever a disk has kept for twenty years. Each file is worked on by
one of a few processes, one file at a time: what a process does not survive costs its file, and
another process takes its place.
"""

import logging
import multiprocessing
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from medidd.allocator import keep_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS = 120.0
"""What one file may take."""
MEMORY = 4 * 2**30
"""Bytes of address space that one process may take."""

_LONGEST = 60
"""Characters of a temporary folder's name in which a server's socket still finds room; of the 107
that a socket's name may have it takes some 40."""


@dataclass(frozen=True)
class Lost:
    """What became of an item that its process did not survive.

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

    Items are taken as they are wanted, so there may be any number of them. Whoever stops early
    leaves no process behind.

    Args:
        work: what is done with an item, in another process: a function of a module, or a
            ``partial`` of one.
        items: whatever can be pickled.
        workers: processes; 0 for as many as there are processors to use.
        seconds: what one item may take.
        memory: bytes of address space that one process may take, where the system allows as many.
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
        """Begins the next item; tells whether there is one."""
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
        """Returns the item and what came of it; waits for that."""
        try:
            return self._item, self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            late = self._process.exitcode == -signal.SIGALRM
            self.end()
            self._begin()
            return self._item, Lost("timeout" if late else "decoder_crash")

    def end(self) -> None:
        """Ends the process, whatever it does."""
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
    """Keeps an interrupt from processes that begin here: this one ends them, and says so alone.

    A terminal sends it to all, and what is still loading would answer with a traceback.
    """
    resource_tracker.ensure_running()  # it would let interrupts in again where it is begun later
    was = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, was)


def _context() -> ForkServerContext | SpawnContext:
    """Returns how processes are begun: by forks of a server, which reads the decoders once for all.

    A fork of this process would take along locks that its threads hold.
    """
    if len(tempfile.gettempdir()) > _LONGEST:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["medidd.dicom.pixels.film"])
    return context


def _serve(pipe: Connection, work: Callable[[Any], Any], seconds: float, memory: int) -> None:
    """Works on what comes through the pipe until it is closed."""
    _mute()
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
        # The kernel ends a process that is late, in the midst of C code and without its parent.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        result = work(item)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send(result)


def _mute() -> None:
    """Sends what a process says, from C code too, nowhere: it may hold what a file held."""
    logging.disable()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
