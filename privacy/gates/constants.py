"""G6: which constants of the preprocessing come from the patients?

The attacker reads them in the file or works them out. A mean or a deviation over the films, a
whitening or a reference histogram is a statistic of the patients. It leaves together with the
images, and no attack on the images accounts for it. Outside differential privacy such statistics
may leave if they are listed; under differential privacy they may not.
"""

from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def constants(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Lists the constants that are not public."""
    declared, guaranteed = evidence.constants, evidence.mu is not None
    private = sorted(name for name, public in (declared or {}).items() if not public)
    if declared is None:
        verdict = Verdict.INVALID
        text = "It is not declared which constants of the preprocessing were taken from the films."
    elif private and guaranteed:
        verdict = Verdict.FAIL
        text = (
            f"Of the constants of the preprocessing, these are statistics of the patients: "
            f"{', '.join(private)}. The guarantee does not cover them."
        )
    elif private:
        verdict = Verdict.PASS
        text = (
            f"Of the constants of the preprocessing, these are statistics of the patients: "
            f"{', '.join(private)}. They leave with the images, and no attack of this audit "
            "accounts for them."
        )
    else:
        verdict = Verdict.PASS
        text = f"All {len(declared)} constants of the preprocessing are declared public."
    return Finding.exact(
        audit="G6",
        name="Constants of the preprocessing",
        verdict=verdict,
        value=float(len(private)),
        limit=float(len(declared or ())),
        text=text,
        details={"private": private, "public": sorted(set(declared or ()) - set(private))},
    )
