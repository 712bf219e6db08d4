"""G8: are the outgoing files the files that were audited?

This needs no attacker: a release that is re-encoded, rounded or replaced after its audit was never
audited. Every outgoing file must be in the manifest with its SHA-256, and a recipient must decode
the audited tensors from these files.
"""

from hashlib import sha256

import torch
from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def manifest(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Hashes and decodes the outgoing files."""
    hashes = {name: sha256(data).hexdigest() for name, data in evidence.outgoing.items()}
    listed = {name: digest.lower() for name, digest in evidence.manifest.items()}
    wrong = sum(hashes.get(name) != listed.get(name) for name in hashes.keys() | listed.keys())
    if not hashes or evidence.decode is None:
        verdict, text = Verdict.INVALID, "There are no outgoing files, or no way to decode them."
    elif wrong:
        verdict = Verdict.FAIL
        text = f"{wrong} outgoing files are not those of the manifest."
    elif not _same(evidence):
        verdict = Verdict.FAIL
        text = "A recipient decodes images or labels that are not the audited ones."
    else:
        verdict = Verdict.PASS
        text = f"The {len(hashes)} outgoing files are the audited files, bit for bit."
    return Finding.exact(
        audit="G8",
        name="Audited files are the outgoing files",
        verdict=verdict,
        value=float(wrong),
        limit=0.0,
        text=text,
        details={"files": len(hashes)},
    )


def _same(evidence: Evidence) -> bool:
    assert evidence.decode is not None
    decoded, audited = evidence.decode(evidence.outgoing), evidence.release
    return torch.equal(decoded.images, audited.images) and torch.equal(
        decoded.labels, audited.labels
    )
