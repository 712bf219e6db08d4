"""What test and predict say of films that do not look like the synthetic images."""

import math

from torch import Tensor

from pipelines.models.model import Model
from pipelines.models.shift import Shift, allowance, shift
from pipelines.run.store import Json


def compared(model: Model, films: Tensor) -> Shift:
    """Returns how unlike films (n, 1, H, W) are to the synthetic images of a model."""
    most = allowance(one["guarantee"] for one in model.about["bundles"])
    return shift(model.released, model.components, films, most)


def unlike(seen: Shift) -> list[str]:
    """Returns warnings, as lines, or a note if chance could be all; none if no film is unlike."""
    alarmed = seen.unlike or seen.many_odd or not seen.layout
    return [f"{'warning' if alarmed else 'note'}: {line}" for line in seen.text().splitlines()]


def facts(seen: Shift) -> Json:
    """Returns the same for programs."""
    told = not math.isnan(seen.distance)
    return {
        "distance": round(seen.distance, 3) if told else None,
        "limit": 1,
        "unlike": seen.unlike if told else None,
        "looks": list(seen.looks),
        "films unlike": int(seen.odd.sum()) if told else None,
        "more than chance gives": seen.many_odd if told else None,
        "intensity compared": seen.intensity,
    }
