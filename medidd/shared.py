"""One T for several processes: each computes its share of every batch, and the shares are summed.

All processes draw the same batches, so all get the same answers and the same S.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from torch import Tensor
from torch.utils._pytree import tree_map

from medidd.data import Question, Source, balanced
from medidd.machine.ranks import Ranks

Statistic = TypeVar("Statistic")


@dataclass(frozen=True)
class Shared:
    """A source whose answers are those of ``real``, computed together. It ``Balances``.

    A batch is split in every call of a function, so ``real`` should pass so many times as many
    images at once as there are processes.

    Attributes:
        real: T, the same in every process, with generators in the same state. It must answer
            exactly: noise of several processes would add up.
        ranks: the processes.
    """

    real: Source
    ranks: Ranks

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.real.classes

    def means(self, questions: Sequence[Question[Statistic]], *, size: int) -> list[Statistic]:
        """Returns the answer to each question; all are summed over the processes at once."""
        shares = [replace(question, f=self._share(question.f)) for question in questions]
        return self.ranks.summed(self.real.means(shares, size=size))

    def balanced(self, f: Callable[[Tensor, Tensor], Statistic], *, size: int) -> Statistic:
        """Returns the mean over classes; see the function of that name."""
        return self.ranks.summed([balanced(self.real, self._share(f), size=size)])[0]

    def _share(
        self, f: Callable[[Tensor, Tensor], Statistic]
    ) -> Callable[[Tensor, Tensor], Statistic]:
        """Returns what this process adds to the mean of ``f`` over a batch.

        The mean over a batch of n images is the sum over processes of m/n times the mean over the m
        images of each.
        """

        def share(x: Tensor, y: Tensor) -> Statistic:
            n, (rank, count) = len(x), (self.ranks.rank, self.ranks.count)
            begin, end = n * rank // count, n * (rank + 1) // count
            weight = (end - begin) / n
            # Without an image of its own, a process still has to know what an answer looks like.
            # The first image is seen by another process too, so this brings in no infinity.
            own = slice(begin, end) if weight else slice(0, 1)
            return cast("Statistic", tree_map(lambda value: weight * value, f(x[own], y[own])))

        return share
