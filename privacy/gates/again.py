"""G9: is the release what the frozen job makes, to the last bit?

The attacker is inside: somebody who makes the release, and hides something in bits that every
other audit takes for noise. The same job gives the same bytes, so making the release once more
shows every bit that was changed afterwards. It says nothing to somebody who does not trust the
computer, the program or the films.
"""

from torch import Generator, Tensor

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy

SHOWS = (
    "This is the one check that sees hidden bits. It holds for those who trust the computer, the "
    "program and the films."
)
CONTINUED = (
    " It went on from a checkpoint in private/again, which somebody may have put there; repeat it "
    "to begin anew."
)
COVERED = " The stored noisy answers were used again, so this checks everything after the noise."


def again(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Compares the release with the one that was made again."""
    made = evidence.again
    if made is None:
        return _finding(Verdict.INVALID, "The release was not made again; use --redo.", 0, {})
    pixels = _differing(evidence.release.images, made.release.images)
    labels = _differing(evidence.release.labels, made.release.labels)
    sizes = max(len(made.stated), len(made.learned)) - sum(
        a == b for a, b in zip(made.stated, made.learned, strict=False)
    )
    details = {
        "intensities that differ": pixels,
        "labels that differ": labels,
        "step sizes that differ": sizes,
        "may have rounded differently": list(made.elsewhere),
        "went on from a checkpoint": made.continued,
    }
    more = (CONTINUED if made.continued else "") + (COVERED if evidence.mu is not None else "")
    if not pixels + labels + sizes:
        verdict = Verdict.PASS
        text = "Made again from the frozen job, the release is the same to the last bit."
    elif made.elsewhere:
        verdict = Verdict.INCONCLUSIVE
        text = (
            f"Made again from the frozen job, the release is different ({_counted(details)}). That "
            f"may be rounding: {'; '.join(made.elsewhere)}. Repeat the audit on the computer and "
            "with the versions of the run."
        )
    else:
        verdict = Verdict.FAIL
        text = (
            f"Made again from the frozen job, the release is different ({_counted(details)}). It "
            "was changed after it was made, or its job, films or program were. Make it again."
        )
    return _finding(verdict, f"{text} {SHOWS}{more}", pixels + labels + sizes, details)


def _finding(verdict: Verdict, text: str, differing: int, details: dict[str, object]) -> Finding:
    return Finding.exact(
        audit="G9",
        name="Made again",
        verdict=verdict,
        value=float(differing),
        limit=0.0,
        text=text,
        details=details,
    )


def _differing(released: Tensor, made: Tensor) -> int:
    """Returns how many numbers differ; all of them if there are more or fewer."""
    if released.shape != made.shape:
        return max(released.numel(), made.numel())
    return int((released.cpu() != made.cpu()).sum())


def _counted(details: dict[str, object]) -> str:
    kinds = ("intensities", "labels", "step sizes")
    return ", ".join(f"{details[f'{kind} that differ']} {kind}" for kind in kinds)
