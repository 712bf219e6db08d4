"""Checks whether a bundle is the one that was exported. Needs no run, no ledger and no key.

Check sums are in three places that must agree: SHA256SUMS lists every file, the manifest lists what
a recipient uses, and the audit's report lists what was audited. A person who rewrites all three
makes a bundle that counts as whole. Only a signature shows that it is not the hospital's. The
previews are compared with the tensors. A bundle whose audit refused it is not one to use.

Nothing heavy is imported here, so a recipient can check a bundle quickly.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.bundle.checksums import SIGNATURE, SUMS, listed
from pipelines.bundle.previews import strange
from pipelines.bundle.programs import PROGRAMS
from pipelines.bundle.programs import changed as changed_programs
from pipelines.bundle.signature import signer
from pipelines.recipient.bundle_files import (
    AGAIN,
    changed,
    digest,
    files_in,
    json_object,
    read,
)
from pipelines.run.errors import Exit, Stop

_VERDICTS = (
    "PASS",
    "FAIL",
    "INCONCLUSIVE",
    "INVALID",
    "GUARANTEED",
)  # importing them would load torch
_REFUSED = ("FAIL", "INVALID")
_REPORT = ("audit.json", "audit.html")
RELEASE = "synthetic.safetensors"

# Names that an export gives. Any other name may be a patient's: it is counted, not repeated.
_OURS = re.compile(
    r"(?:synthetic\.safetensors|labels\.csv|(?:loader|train)\.py|README\.md|manifest\.json"
    r"|preparation\.json|(?:prepare|radiograph|display|networks|own|kernels|score)\.py"
    r"|croissant\.json|audit\.json|audit\.html|(?:previews|dicom)/class\d+_\d+\.(?:png|dcm))"
)
_MOST_NAMED = 3


@dataclass(frozen=True)
class Verify:
    """Verify a bundle.

    Attributes:
        bundle: its folder.
        signers: OpenSSH's list of allowed signers; None to check no signature.
    """

    bundle: Path
    signers: Path | None = None


@dataclass(frozen=True)
class Verified:
    """A bundle that is whole.

    Attributes:
        bundle: its folder.
        files: how many files it has.
        verdict: of the audit in its report.
        signed: whether there is a signature; None if there is one that was not checked.
        signer: who signed it; None if the signature was not checked.
        published: whether its programs are medidd's own; None if another version made it, so that
            they were not compared.
    """

    bundle: Path
    files: int
    verdict: str
    signed: bool | None
    signer: str | None
    published: bool | None

    def text(self) -> str:
        """Returns four lines."""
        if self.signer is not None:
            by = f"signed by {self.signer}"
        elif self.signed is None:
            by = "signature: not checked; name the allowed signers with --signers"
        else:
            by = "signature: none, so anybody may have made this bundle"
        return "\n".join(
            (
                f"{self.bundle}: whole, {self.files} files, each as listed",
                f"verdict of the audit in it: {self.verdict}",
                "programs in it: those of this medidd"
                if self.published
                else "programs in it: of another version, so they were not compared; compare them "
                "with docs/programs.sha256 of that version before you run them",
                by,
            )
        )

    def require_usable(self) -> None:
        """Checks that the audit in the bundle did not refuse it.

        Raises:
            Stop: it did.
        """
        if self.verdict in _REFUSED:
            raise Stop(
                f"{self.bundle}: whole, but its audit says {self.verdict}; {AGAIN}", Exit.AUDIT
            )

    def json(self) -> dict[str, Any]:
        """Returns the object."""
        return {
            "bundle": str(self.bundle),
            "files": self.files,
            "verdict": self.verdict,
            "signed": self.signed,
            "signer": self.signer,
            "published": self.published,
        }


def run(job: Verify) -> Verified:
    """Checks every byte.

    Raises:
        Stop: a file was changed, is missing or was added, or the signature is wrong (code 5); or
            there is no bundle, or it cannot be read (code 2).
    """
    try:
        return _verified(job)
    except OSError as error:
        raise Stop(
            f"{job.bundle}: {error.strerror}; fix the permissions of the folder and its files, or "
            "copy it to a place where you can read them",
            Exit.USAGE,
        ) from None


def _verified(job: Verify) -> Verified:
    _require_bundle(job.bundle)
    found = set(files_in(job.bundle))
    if SUMS not in found:
        raise changed(f"{SUMS} is missing")
    sums = read(job.bundle / SUMS)
    try:
        wanted = listed(sums)
    except ValueError as fault:
        raise changed(f"{SUMS}: {fault}") from None
    there = found - {SUMS, SIGNATURE}
    digests = {name: digest(job.bundle / name) for name in there & wanted.keys()}
    _require_none(
        SUMS,
        changed={name for name, digest in digests.items() if digest != wanted[name]},
        missing=wanted.keys() - there,
        added=there - wanted.keys() - {f"{name.rpartition('/')[0]}/" for name in wanted},
    )
    audit = json_object(job.bundle, "audit.json")
    manifest = json_object(job.bundle, "manifest.json")
    _require_same(manifest.get("files"), digests, "manifest.json")
    _require_same(audit.get("audited"), digests, "audit.json")
    _require_shown(job.bundle, digests.keys())
    published = _published(job.bundle, manifest, digests.keys())
    # An empty file is no signature.
    signed = SIGNATURE in found and (job.bundle / SIGNATURE).stat().st_size > 0
    if job.signers is not None and not signed:
        raise changed("there is no signature, and --signers needs one")
    by = None
    if job.signers is not None:
        by = signer(sums, job.bundle / SIGNATURE, job.signers)
    checked = None if signed and by is None else signed
    return Verified(job.bundle, len(found), _verdict(audit), checked, by, published)


def _require_shown(bundle: Path, names: Collection[str]) -> None:
    """Checks that the previews show the tensors.

    Raises:
        Stop: one does not.
    """
    if RELEASE not in names:
        raise changed(f"{RELEASE} is missing")
    try:
        wrong = strange(
            read(bundle / RELEASE), lambda name: read(bundle / name) if name in names else None
        )
    except ValueError as fault:
        raise changed(f"{RELEASE} {fault}") from None
    if wrong:
        raise changed(f"{wrong} images without a preview that shows them")


def _published(bundle: Path, manifest: dict[str, Any], names: Collection[str]) -> bool | None:
    """Tells whether the programs are those of this medidd; None if another version made them.

    Raises:
        Stop: the bundle says it is of this version, and a program is another one.
    """
    versions = manifest.get("versions")
    own = version("medidd")
    if not isinstance(versions, dict) or versions.get("medidd") != own:
        return None
    found = {name: read(bundle / name) for name in PROGRAMS if name in names}
    if strange := changed_programs(found):
        raise changed(
            f"{', '.join(strange)}: not as medidd {own} has it, so do not run any program in it"
        )
    return True


def _require_bundle(folder: Path) -> None:
    """Checks that there is a folder with at least one file of a bundle.

    Raises:
        Stop: there is none.
    """
    names = {SUMS, "manifest.json", "synthetic.safetensors"}
    if not folder.is_dir() or not any(path.name in names for path in folder.iterdir()):
        raise Stop(f"{folder}: not a bundle; name the folder that medidd export wrote", Exit.USAGE)


def _verdict(audit: dict[str, Any]) -> str:
    """Returns the verdict; no other text from the file goes to the terminal.

    Raises:
        Stop: the file holds no verdict.
    """
    if (said := audit.get("verdict")) not in _VERDICTS:
        raise changed("audit.json holds no verdict")
    return str(said)


def _require_same(said: object, digests: dict[str, str], where: str) -> None:
    """Checks that the manifest or the audit lists every file except itself and later ones.

    Raises:
        Stop: it lists other bytes, other files, or not all files.
    """
    if not isinstance(said, dict):
        raise changed(f"{where} lists no files")
    later = {*_REPORT, where}
    own = {name: digest for name, digest in digests.items() if name not in later}
    _require_none(
        where,
        changed={name for name in own.keys() & said.keys() if own[name] != said[name]},
        missing=said.keys() - own.keys(),
        added=own.keys() - said.keys(),
    )


def _require_none(where: str, **faults: set[str]) -> None:
    counts = [f"{len(names)} {kind}" for kind, names in faults.items() if names]
    if not counts:
        return
    names = sorted(set().union(*faults.values()))
    known = [name for name in names if _OURS.fullmatch(name)]
    others = [f"{len(names) - len(known)} with a name that no bundle has"] * (
        len(known) < len(names)
    )
    more = [f"{len(known) - _MOST_NAMED} more"] * (len(known) > _MOST_NAMED)
    raise changed(
        f"by {where}, {' and '.join(counts)}: {', '.join([*known[:_MOST_NAMED], *more, *others])}"
    )
