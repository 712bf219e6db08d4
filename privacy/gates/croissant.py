"""A Croissant description read to its last key: it may speak of the outgoing files, and of no more.

Croissant lets a description carry records of its own and point to files elsewhere. Such records are
seen by no other audit, and what lies elsewhere can be anything tomorrow.
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
    """Checks that a description has no keys but known ones, and only files that leave, as they are.

    Args:
        data: the description.
        outgoing: every file that leaves, by name.

    Raises:
        HiddenError: it has others.
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
