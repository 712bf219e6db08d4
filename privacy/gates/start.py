"""G2: did the distillation start from real films?

The attacker only has to look: images that start as films still show them after hundreds of steps.
A start's name is a claim, not evidence. So a policy that requires G2 must also require A5, which
looks at the images.
"""

from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def start(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Accepts only the starts that the policy names as free of films."""
    known = evidence.start in policy.starts_without_films
    value = float(not known)
    return Finding.exact(
        audit="G2",
        name="Start without films",
        verdict=Verdict.PASS if known else Verdict.FAIL,
        value=value,
        limit=0.0,
        text=(
            f"The images are declared to have started from '{evidence.start}', which contains no "
            "film; the search for copies (A5) checks this."
            if known
            else f"The images started from '{evidence.start or 'undeclared'}', which may contain "
            "films."
        ),
        details={"start": evidence.start},
    )
