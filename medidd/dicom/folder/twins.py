"""Raw detector data whose film is there: they cost no film.

A DX device may send every exposure twice: FOR PROCESSING, the raw data, and FOR PRESENTATION, the
film (PS3.3 C.8.11.1.1.1). Raw data are one film's twin if both are of one study and their views and
sides do not contradict each other. A film has one twin, so raw data that are left over count as
lost.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from medidd.dicom.refusals import Exposure, Refusal
from medidd.dicom.views import matches

_RAW, _TWIN = "for_processing", "raw_twin"


def settled(refusals: Sequence[Refusal], films: Iterable[Exposure]) -> list[Refusal]:
    """Returns the refusals, with twins of films as such.

    Args:
        refusals: files left out; raw data among them have an exposure.
        films: the exposures of the films that are there, used or not.
    """
    raws = {one.exposure for one in refusals if one.code == _RAW and one.exposure}
    if not raws:
        return list(refusals)
    twins = {raw.instance for raw in _with_film(raws, films)}
    return [
        replace(one, code=_TWIN)
        if one.code == _RAW and one.exposure and one.exposure.instance in twins
        else one
        for one in refusals
    ]


def _with_film(raws: set[Exposure], films: Iterable[Exposure]) -> list[Exposure]:
    of_study: dict[str, dict[str, Exposure]] = defaultdict(dict)
    studies = {raw.study for raw in raws if raw.study}
    for film in films:
        if film.study in studies:
            of_study[film.study][film.instance] = film
    found: list[Exposure] = []
    # First those that agree in most, so that a raw without a view does not take another's film.
    for known in (2, 1, 0):
        for raw in sorted(raws - set(found), key=lambda raw: raw.instance):
            free = of_study[raw.study]
            fits = [film for film in free.values() if _agreements(raw, film) == known]
            if fits:
                del free[fits[0].instance]
                found.append(raw)
    return found


def _agreements(raw: Exposure, film: Exposure) -> int:
    """Returns how many of view and side are equal and known; -1 if one contradicts."""
    views, sides = (raw.view, film.view), (raw.side, film.side)
    alike = matches(raw.view, (film.view,)) or matches(film.view, (raw.view,))
    if (all(views) and not alike) or (all(sides) and raw.side != film.side):
        return -1
    return all(views) + all(sides)
