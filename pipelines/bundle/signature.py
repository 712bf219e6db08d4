"""A signature of a bundle's check sums, made with OpenSSH.

``ssh-keygen -Y`` signs and verifies offline, with the keys and lists of signers that a hospital
already uses. Because of the namespace, a signature made for something else does not count here, and
this one does not count elsewhere. Format: PROTOCOL.sshsig of OpenSSH. It holds the public key
without its comment, and so neither user nor host.
"""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.bundle.checksums import SIGNATURE, SUMS
from pipelines.run.errors import Exit, Stop

NAMESPACE = "medidd-bundle"
PATIENCE = 120
"""Seconds. A key on a token waits for a touch; everything else here needs less than one second."""


def sign(data: bytes, key: Path) -> bytes:
    """Returns the signature of ``data``, armored.

    Args:
        data: the check sums.
        key: a private key without a passphrase, or either half of a key that an agent holds.

    Raises:
        Stop: the key cannot sign; that includes a key that asks for its passphrase.
    """
    # Never through stdin: without a terminal, ssh-keygen reads a passphrase from it and signs
    # the rest.
    with TemporaryDirectory() as folder:
        message, made = Path(folder) / SUMS, Path(folder) / SIGNATURE
        message.write_bytes(data)
        if not _called("sign", "-n", NAMESPACE, "-f", str(key.absolute()), str(message)).returncode:
            return made.read_bytes()
    # The output of ssh-keygen is not shown: it names files of this computer.
    raise Stop(
        f"{key}: cannot sign, so medidd made no bundle; name a private key without a passphrase, "
        "or a key that an ssh-agent holds",
        Exit.USAGE,
    )


def signer(data: bytes, signature: Path, signers: Path) -> str:
    """Returns which of the allowed signers signed ``data``.

    Args:
        data: the check sums.
        signature: file of the signature.
        signers: list as in ssh-keygen(1), section ALLOWED SIGNERS.

    Raises:
        Stop: none of them did.
    """
    _require_readable(signers)
    at = ("-f", str(signers.absolute()), "-s", str(signature.absolute()))
    for name in _called("find-principals", *at).stdout.decode(errors="replace").splitlines():
        if not _called("verify", "-n", NAMESPACE, *at, "-I", name, data=data).returncode:
            return name
    raise Stop(
        f"{SIGNATURE}: is not the signature of this {SUMS} by a signer in {signers}; do not use "
        "the bundle, and ask the sender for it again and for the key",
        Exit.CHANGED,
    )


def _require_readable(signers: Path) -> None:
    """Checks that ssh-keygen can read the list; if not, every signature would seem wrong."""
    try:
        signers.open("rb").close()
    except OSError as error:
        raise Stop(
            f"{signers}: {error.strerror}; name a file that you can read with --signers", Exit.USAGE
        ) from None


def _called(action: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs ssh-keygen so that it cannot ask questions: a batch job would wait for ever."""
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
            f"ssh-keygen: the key did not answer in {PATIENCE} s; name another key", Exit.USAGE
        ) from None
