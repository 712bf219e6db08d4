"""G2: did the distillation start from real films?

The attacker only has to look: images that start as films still show them after hundreds of steps.
A name is a claim, not evidence, so a policy that asks for G2 must ask for A5, which looks.
"""

from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def start(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Accepts the starts which the policy names as free of films, and no others."""
    known = evidence.start in policy.starts_without_films
    value = float(not known)
    return Finding.exact(
        audit="G2",
        name="Start without films",
        verdict=Verdict.PASS if known else Verdict.FAIL,
        value=value,
        limit=0.0,
        text=(
            f"The images are declared to have begun as '{evidence.start}', which holds no film; "
            "the search for copies (A5) checks this."
            if known
            else f"The images began as '{evidence.start or 'undeclared'}', which may hold films."
        ),
        details={"start": evidence.start},
    )
