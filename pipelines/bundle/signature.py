"""A signature of a bundle's check sums, by the OpenSSH that every hospital computer has.

``ssh-keygen -Y`` signs and verifies offline, with the keys and the lists of signers that are in use
already. The namespace keeps a signature made for something else from counting here, and this one
from counting elsewhere. Format: PROTOCOL.sshsig of OpenSSH; it holds the public key without its
comment, so neither user nor host.
"""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.bundle.checksums import SIGNATURE, SUMS
from pipelines.run.errors import Exit, Stop

NAMESPACE = "medidd-bundle"
PATIENCE = 120
"""Seconds. A key on a token waits for a touch; nothing else here takes one second."""


def sign(data: bytes, key: Path) -> bytes:
    """Returns the signature of ``data``, armored.

    Args:
        data: the check sums.
        key: a private key without a passphrase, or a public one whose private half an agent holds.

    Raises:
        Stop: the key cannot sign, or nobody is there to ask for its passphrase.
    """
    # Never by stdin: where no terminal is, ssh-keygen takes a passphrase from there, and would
    # sign what is left.
    with TemporaryDirectory() as folder:
        message, made = Path(folder) / SUMS, Path(folder) / SIGNATURE
        message.write_bytes(data)
        if not _called("sign", "-n", NAMESPACE, "-f", str(key.absolute()), str(message)).returncode:
            return made.read_bytes()
    # What ssh-keygen says names files of this computer.
    raise Stop(
        f"{key}: cannot sign, and no bundle was made; name a private key without a passphrase, or "
        "the public half of one that an ssh-agent holds",
        Exit.USAGE,
    )


def signer(data: bytes, signature: Path, signers: Path) -> str:
    """Returns who of the allowed signers signed ``data``.

    Args:
        data: the check sums.
        signature: file of the signature.
        signers: list of ssh-keygen(1), section ALLOWED SIGNERS.

    Raises:
        Stop: nobody of them did.
    """
    _require_readable(signers)
    at = ("-f", str(signers.absolute()), "-s", str(signature.absolute()))
    for name in _called("find-principals", *at).stdout.decode(errors="replace").splitlines():
        if not _called("verify", "-n", NAMESPACE, *at, "-I", name, data=data).returncode:
            return name
    raise Stop(
        f"{SIGNATURE}: is not the signature of this {SUMS} by anybody whom {signers} allows; do "
        "not use the bundle, and ask the sender for it again and for the key",
        Exit.CHANGED,
    )


def _require_readable(signers: Path) -> None:
    """Checks that ssh-keygen can read the list; else no signature would seem to be right."""
    try:
        signers.open("rb").close()
    except OSError as error:
        raise Stop(
            f"{signers}: {error.strerror}; name a file that can be read with --signers", Exit.USAGE
        ) from None


def _called(action: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs ssh-keygen where it can ask nobody: in a batch a question would wait for ever."""
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", action, *arguments],
            input=data,
            capture_output=True,
            env=os.environ | {"SSH_ASKPASS_REQUIRE": "never"},
            start_new_session=True,  # without a terminal
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise Stop(
            "ssh-keygen: is not installed; install OpenSSH, or leave out --sign and --signers",
            Exit.USAGE,
        ) from None
    except subprocess.TimeoutExpired:
        raise Stop(
            f"ssh-keygen: waited {PATIENCE} s for the key in vain; name another one", Exit.USAGE
        ) from None
