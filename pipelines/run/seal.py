"""JSON that only this installation can have written: it carries an HMAC-SHA256 under its key.

What an export believes is sealed: the audit, the metrics, the number of entries in the ledger. An
editor, a full disk or another installation cannot make the seal. Somebody who can read the key can.
"""

import hashlib
import hmac
import json
from pathlib import Path

from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import key
from pipelines.run.store import Json, dumped, write_json

SEAL = "seal"
"""The name under which the seal is in the file."""


def write_sealed(path: Path, value: Json, purpose: str) -> None:
    """Writes an object and its seal.

    Args:
        path: the file.
        value: the object.
        purpose: what it is, and what it is about; a seal for one purpose is none for another.
    """
    write_json(path, value | {SEAL: _seal(value, purpose)})


def read_sealed(path: Path, purpose: str, remedy: str, code: Exit = Exit.AUDIT) -> Json:
    """Returns the object without its seal.

    Args:
        path: the file.
        purpose: as it was written for.
        remedy: what a person can do if the seal is broken.
        code: with which a command then ends.

    Raises:
        Stop: the file is missing, damaged or changed, or is that of another purpose.
    """
    try:
        found = json.loads(path.read_bytes())
        sealed = found.pop(SEAL)
        if hmac.compare_digest(sealed, _seal(found, purpose)):
            return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise Stop(f"{path}: damaged, or not as medidd wrote it here; {remedy}", code)


def _seal(value: Json, purpose: str) -> str:
    own = hmac.digest(key(), f"seal|{purpose}".encode(), "sha256")
    return hmac.new(own, dumped(value), hashlib.sha256).hexdigest()
