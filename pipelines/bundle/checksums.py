"""The list of a bundle's files with their SHA-256: writing it and reading it.

Nothing heavy is imported here, so a recipient can check a bundle at once.
"""

import hashlib
import re
from collections.abc import Mapping

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Returns each file's SHA-256 in hexadecimal."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def sums(files: Mapping[str, bytes]) -> bytes:
    """Returns the file that ``sha256sum --check`` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in hashes(files).items()).encode()


def listed(data: bytes) -> dict[str, str]:
    """Returns the SHA-256 of each file that such a list names.

    Raises:
        ValueError: a line is damaged, leads out of the folder, or names a file that it may not. The
            message gives the number of the line, and never its text.
    """
    found: dict[str, str] = {}
    # Split only at line ends: splitlines would also split at other characters in a name.
    *lines, rest = data.decode(errors="replace").split("\n")
    if rest or not lines:
        raise ValueError(f"line {len(lines) + 1} is damaged")
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or not match[2].isprintable() or "\ufffd" in line:
            raise ValueError(f"line {number} is damaged")
        digest, name = match.groups()
        if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(f"line {number} leads out of the bundle")
        if name in (SUMS, SIGNATURE):
            raise ValueError(f"line {number} names the list itself or its signature")
        if name in found:
            raise ValueError(f"line {number} names a file for the second time")
        found[name] = digest
    return found
