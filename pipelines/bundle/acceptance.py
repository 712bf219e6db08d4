"""A person's word for a release that the audits did not decide: where it comes from and goes to.

It is given before anything is audited, so it must name no patient, and it leaves with the bundle:
whoever receives the images shall know that no audit passed them.
"""

from collections.abc import Callable
from dataclasses import asdict

from pipelines.bundle.checksums import hashes
from pipelines.bundle.contents import Files, with_files
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Json
from privacy.decision import Acceptance, Decision, wording_accepted
from privacy.finding import Finding
from privacy.gates.leaks import tokens

CARD = """
## Exported without a decision

The audits did not decide whether these images may leave: see `audit.html`. They left because a
person answers for it.

| | |
|---|---|
| approver | {approver} |
| reason | {reason} |
"""
"""What the card of such a bundle ends with."""


def acceptance(reason: str | None, approver: str | None) -> Acceptance | None:
    """Returns the word that was given on the command line; None for none.

    Raises:
        Stop: one of the two is missing or says nothing.
    """
    if reason is None and approver is None:
        return None
    try:
        return Acceptance(*(" ".join((text or "").split()) for text in (reason, approver)))
    except ValueError:
        raise Stop(
            "--accept-inconclusive and --approver go together: say why the release may leave, and "
            "who answers for it",
            Exit.USAGE,
        ) from None


def require_nameless(accepted: Acceptance, is_identifier: Callable[[str], bool]) -> None:
    """Checks that the word names nobody of the cohort.

    Raises:
        Stop: it does, and is not repeated.
    """
    for option, text in (
        ("--accept-inconclusive", accepted.reason),
        ("--approver", accepted.approver),
    ):
        if any(is_identifier(token) for token in tokens(text)):
            raise Stop(
                f"{option}: holds an identifier of the cohort, and would be published; say it in "
                "other words",
                Exit.AUDIT,
            )


def with_acceptance(files: Files, audit: Json, accepted: Acceptance) -> tuple[Files, Json]:
    """Returns the bundle and its audit with the word in card, manifest and report.

    Args:
        files: as they were audited.
        audit: what the audit said.
        accepted: the word.
    """
    said = {name: text.replace("|", "\\|") for name, text in asdict(accepted).items()}
    card = files["README.md"] + CARD.format(**said).encode()
    worded = with_files(files, {"README.md": card})
    findings = [Finding.from_json(one) for one in audit["findings"]]
    return worded, audit | {
        "accepted": asdict(accepted),
        "public wording": wording_accepted(Decision.from_json(audit), findings),
        "sha256": hashes(worded),
    }
