"""By what the films are known that something was trained on."""

import hashlib

from privacy.release import Films


def digest(films: Films) -> str:
    """Returns 16 hexadecimal digits that tell these films and their labels from others."""
    pixels = hashlib.sha256(films.images.numpy().tobytes())
    pixels.update(films.labels.numpy().tobytes())
    return pixels.hexdigest()[:16]
