"""The secret of an installation, and the settings of the process before it reads a film.

The secret turns patient identifiers into keyed hashes and decides which patients are held out. No
outsider may have it. With a public seed alone, anybody who knows a patient's number could compute
whether that patient was held out, and this is what the audits try to find out. The secret must also
stay the same, or no run could be repeated. Therefore it is drawn once from the operating system and
stored where only the owner can read it.
"""

import hmac
import os
import resource
import secrets
from pathlib import Path

import platformdirs

from pipelines.run.errors import Exit, Stop

HOME = "MEDIDD_HOME"
"""Environment variable that names another folder for the key."""

BYTES = 32
"""Length of the secret. A shorter secret, for example from an empty file, could be guessed."""

SILENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_MODE": "offline",
}
"""Settings that keep dependencies off the network."""


def home() -> Path:
    """Returns the folder of this installation."""
    named = os.environ.get(HOME)
    return Path(named) if named else platformdirs.user_data_path("medidd")


def key() -> bytes:
    """Returns the installation's secret, 32 bytes; the first call makes it.

    Raises:
        Stop: the folder cannot be written.
    """
    path = home() / "key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # Written completely, then linked: two first runs at once read the same key.
            fresh = path.with_name(f"key.{secrets.token_hex(8)}")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
                f.write(secrets.token_hex(BYTES))
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        secret = bytes.fromhex(path.read_text())
        if len(secret) != BYTES:
            raise ValueError
        return secret
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "holds no valid key"
        raise Stop(
            f"{path}: {reason}; set {HOME} to a folder that you can write",
            Exit.USAGE,
        ) from None


def check_value() -> str:
    """Returns 16 hexadecimal digits by which what was made under this key is recognised."""
    return hmac.digest(key(), b"check value", "sha256").hex()[:16]


def require_own(folder: Path, made: object) -> None:
    """Checks that a folder was made by this installation.

    Under another key no patient and no identifier is recognised, and the ledger is somebody else's.

    Args:
        folder: the folder.
        made: the check value of the key under which it was made.

    Raises:
        Stop: it was made under another one.
    """
    if not made:
        raise Stop(
            f"{folder}: was made by an older medidd; make it again in another folder", Exit.USAGE
        )
    if made != check_value():
        raise Stop(
            f"{folder}: was made by another installation of medidd, with another key; set {HOME} "
            "to the folder of that installation, or make it again in another folder",
            Exit.USAGE,
        )


def harden() -> None:
    """Makes new files private, prevents core dumps and keeps dependencies off the network."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
