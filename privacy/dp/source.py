"""The private source: what a method asks about the films is answered with noise.

One call of ``means`` is one release of one vector per patient, over all questions and classes:
the mean over the patient's films, as ``layout.py`` lays it out. A patient with many films, or with
films of several classes, is one vector like anybody else, and is clipped once, as a whole. Clipping
class by class would let a patient of two classes count twice.

Each patient's value is computed alone, not in a batch with other patients' films: in a batch a
value depends on its neighbours in the last bits, and such a change of everybody is not accounted
for.
"""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from privacy.dp.answers import Answers, MemorisedAnswers, StoredAnswers
from privacy.dp.layout import Layout, Question
from privacy.dp.mechanism import PatientGaussian


class PrivateSource:
    """Answers with noise; see the top of this file.

    Args:
        images: standardised, (n, C, H, W); may be empty.
        labels: (n,), int64.
        patients: whose film each is, (n,).
        classes: K, public; a class may have no film.
        mechanism: clip, noise and budget.
        phantoms: public pictures, standardised, (m, C, H, W).
        store: folder for the answers, kept as long as the run can be resumed; None keeps them in
            memory.

    Attributes:
        classes: K.
        position: answers given so far. A resumed run sets it to where it goes on, and gets the
            answers that it had.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        patients: Sequence[Hashable],
        classes: int,
        mechanism: PatientGaussian,
        phantoms: Tensor,
        store: Path | None = None,
    ) -> None:
        self.classes, self.position = classes, 0
        self._images, self._label = images, labels.tolist()
        self._hot = torch.eye(classes, dtype=images.dtype, device=images.device)[labels]
        self._films: dict[Hashable, list[int]] = {}
        for row, patient in enumerate(patients):
            self._films.setdefault(patient, []).append(row)
        self._mechanism, self._phantoms = mechanism, phantoms
        self._answers: Answers = MemorisedAnswers() if store is None else StoredAnswers(store)
        # What was released before this process began is spent, too.
        mechanism.made = max(mechanism.made, len(self._answers))

    def means(self, questions: Sequence[Question], *, size: int) -> list[Any]:
        """Returns the noisy mean of each question's f over all films of its classes. ONE release.

        Args:
            questions: all that is asked in this step.
            size: is not used; everybody takes part, or whom the mechanism's coins choose.

        Raises:
            BudgetSpentError: all releases are made.
            ValueError: the stored answer is to other questions, or ``position`` has gone too far.
        """
        del size
        layout = Layout(questions, self.classes, self._phantoms, self._mechanism.clip)
        answer = self.release(layout)
        self.position += 1
        return layout.means(answer, self._mechanism.noise)

    def release(self, layout: Layout) -> Tensor:
        """Returns the noisy vector M at ``position``: the stored one if there is one."""
        if self.position > len(self._answers):
            raise ValueError(
                f"the run goes on after {self.position} answers, but only {len(self._answers)} "
                "are stored; keep the folder of answers with the run"
            )
        if self.position == len(self._answers):
            self._answers.append(self.noisy(layout), self.position)
        answer = self._answers[self.position]
        if answer.shape != (layout.size,):
            raise ValueError(
                f"answer {self.position} has {len(answer)} numbers, the questions {layout.size}; "
                "it was given to another run"
            )
        return answer

    def noisy(self, layout: Layout) -> Tensor:
        """Returns a fresh release."""
        with torch.no_grad():  # nothing real is learned; an f that needs a gradient enables it
            return self._mechanism.release(
                self._films.values(), lambda films: self.vector(layout, films), layout.size
            )

    def vector(self, layout: Layout, films: list[int]) -> Tensor:
        """Returns v_p of the patient with these films, before it is clipped, (size,), float64."""
        by_class: dict[int, list[int]] = {}
        for film in films:
            by_class.setdefault(self._label[film], []).append(film)

        def batch(classes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
            rows = [row for label in classes for row in by_class.get(label, ())]
            if len(rows) == 1:  # a view, which is faster
                return self._images[rows[0] : rows[0] + 1], self._hot[rows[0] : rows[0] + 1]
            return self._images[rows], self._hot[rows]

        return layout.vector(batch, {c: len(rows) / len(films) for c, rows in by_class.items()})
