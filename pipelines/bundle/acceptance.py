"""A person accepts a release that the audits did not decide: who, why, and where this is written.

The reason and the name are given before anything is audited, so they must name no patient. They
leave with the bundle: a recipient of the images must know that the audit did not pass them.
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

The audits did not decide whether these images may leave; see `audit.html`. A person takes
responsibility for the export.

| | |
|---|---|
| approver | {approver} |
| reason | {reason} |
"""
"""The last part of the card of such a bundle."""


OWN_POLICY = """
## Audited by a policy of their own

The sender's policy asks for less than medidd's own; see the section "Policy" of `audit.html`.
"""
"""What the card says if that is so."""


def acceptance(reason: str | None, approver: str | None) -> Acceptance | None:
    """Returns the acceptance from the command line; None if there is none.

    Raises:
        Stop: one of the two is missing or empty.
    """
    if reason is None and approver is None:
        return None
    try:
        return Acceptance(*(" ".join((text or "").split()) for text in (reason, approver)))
    except ValueError:
        raise Stop(
            "--accept-inconclusive and --approver go together: say why the release may leave, and "
            "who takes responsibility",
            Exit.USAGE,
        ) from None


def require_nameless(accepted: Acceptance, is_identifier: Callable[[str], bool]) -> None:
    """Checks that the acceptance names no patient of the cohort.

    Raises:
        Stop: it does; the message does not repeat it.
    """
    for option, text in (
        ("--accept-inconclusive", accepted.reason),
        ("--approver", accepted.approver),
    ):
        if any(is_identifier(token) for token in tokens(text)):
            raise Stop(
                f"{option}: holds an identifier of the cohort, and would be published; use other "
                "words",
                Exit.AUDIT,
            )


def with_acceptance(files: Files, audit: Json, accepted: Acceptance) -> tuple[Files, Json]:
    """Returns the bundle and its audit, with the acceptance in card, manifest and report.

    Args:
        files: as they were audited.
        audit: result of the audit.
        accepted: the acceptance.
    """
    said = {name: text.replace("|", "\\|") for name, text in asdict(accepted).items()}
    worded, audit = with_section(files, audit, CARD.format(**said))
    findings = [Finding.from_json(one) for one in audit["findings"]]
    return worded, audit | {
        "accepted": asdict(accepted),
        "public wording": wording_accepted(Decision.from_json(audit), findings),
    }


def with_section(files: Files, audit: Json, section: str) -> tuple[Files, Json]:
    """Returns the bundle with one more section of the card, and the audit of these files."""
    worded = with_files(files, {"README.md": files["README.md"] + section.encode()})
    return worded, audit | {"sha256": hashes(worded)}
