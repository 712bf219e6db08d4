"""A Croissant description, read to its last key: it may describe only the outgoing files.

A Croissant description can contain records and point to files elsewhere. No other audit sees such
records, and files elsewhere can change at any time.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256

from privacy.gates.formats import HiddenError, once

_FILE = {"@type", "@id", "name", "contentUrl", "encodingFormat", "sha256"}
_KEYS = _FILE | {
    *("@context", "conformsTo", "description", "keywords", "isLiveDataset"),
    *("distribution", "recordSet", "key", "field", "dataType", "source", "fileObject"),
    *("extract", "column", "rai:dataCollection", "rai:dataUseCases", "rai:dataLimitations"),
    "rai:personalSensitiveInformation",
}


def require_description(data: bytes, outgoing: Mapping[str, bytes]) -> None:
    """Checks that a description has only known keys, and only files that leave, unchanged.

    Args:
        data: the description.
        outgoing: every file that leaves, by name.

    Raises:
        HiddenError: it has other keys or other files.
    """
    try:
        found = json.loads(data.decode(), object_pairs_hook=once)
    except HiddenError:
        raise
    except (ValueError, RecursionError) as error:
        raise HiddenError("a description that is no JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("distribution"), list):
        raise HiddenError("a description that lists no files")
    if not set(_keys({name: of for name, of in found.items() if name != "@context"})) <= _KEYS:
        raise HiddenError("a description with more than files and columns")
    for file in found["distribution"]:
        if not isinstance(file, dict) or file.keys() != _FILE:
            raise HiddenError("a description with more than files and columns")
        content = outgoing.get(str(file["contentUrl"]))
        if content is None or file["sha256"] != sha256(content).hexdigest():
            raise HiddenError("a description of files that do not leave")


def _keys(value: object) -> Iterator[str]:
    """Yields every key, at any depth."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield name
            yield from _keys(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _keys(inside)
