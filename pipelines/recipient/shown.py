"""What test and predict say of films that do not look like the synthetic images."""

import math

from pipelines.models.shift import Shift
from pipelines.run.store import Json


def unlike(seen: Shift) -> list[str]:
    """Returns warnings, as lines; none if the films look like the images."""
    if math.isnan(seen.distance):
        return [
            "warning: the synthetic images are too rough to tell whether these films look like "
            "those that they stand for; look at both side by side"
        ]
    lines = []
    if seen.unlike:
        looks = f": {'; '.join(seen.looks)}" if seen.looks else ""
        lines.append(
            "warning: together, these films do not look like those that the synthetic images stand "
            f"for{looks} (distance {seen.distance:.1f}, limit 1); look at both side by side before "
            "you trust a figure"
        )
    count = int(seen.odd.sum())
    if count and not (seen.unlike and count == len(seen.films)):
        lines.append(
            f"warning: one by one, {count} of {len(seen.films)} films do not look so; about 2 in "
            "100 do not by chance"
        )
    return lines


def facts(seen: Shift) -> Json:
    """Returns the same for programs."""
    told = not math.isnan(seen.distance)
    return {
        "distance": round(seen.distance, 3) if told else None,
        "limit": 1,
        "unlike": seen.unlike if told else None,
        "looks": list(seen.looks),
        "films unlike": int(seen.odd.sum()) if told else None,
        "intensity compared": seen.intensity,
    }
