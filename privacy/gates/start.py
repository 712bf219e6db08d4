"""G2: did the distillation start from real films?

The attacker only has to look: images that start as films still show them after hundreds of steps.
A start's name is a claim, not evidence. So a policy that requires G2 must also require A5, which
looks at the images.

Some images start from noise that a model of the films has turned into images. Such a start is
neither free of films nor a film: a denoiser can memorise films and give them back (Carlini et al.,
USENIX Security 2023, arXiv:2301.13188), and no name tells whether it did. So it passes only where
the policy requires every search for copies, and where null releases were made. Without them, A1
cannot tell a film that the model learned from one that is easy for every model.
"""

from collections.abc import Sequence

from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Level, Policy

COPY_TESTS = ("A5", "A5b", "A5c")
"""Audits that look for copies of films, all of which a start through a model needs."""


def start(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Accepts the starts that the policy names as free of films, and those that it has searched."""
    name, known = "Start without films", evidence.start
    if known in policy.starts_without_films:
        verdict = Verdict.PASS
        text = (
            f"The images are declared to have started from '{known}', which contains no film; the "
            "search for copies (A5) checks this."
        )
    elif known in policy.starts_through_a_model:
        name = "Start through a model of films"
        verdict, text = _through_a_model(evidence, policy)
    else:
        verdict = Verdict.FAIL
        text = f"The images started from '{known or 'undeclared'}', which may contain films."
    return Finding.exact(
        audit="G2",
        name=name,
        verdict=verdict,
        value=float(verdict is not Verdict.PASS),
        limit=0.0,
        text=text,
        details={"start": evidence.start},
    )


def _through_a_model(evidence: Evidence, policy: Policy) -> tuple[Verdict, str]:
    """Returns the verdict on a start that a model of films has drawn, and what is said of it."""
    text = (
        f"The images started from '{evidence.start}': a model that was trained on films drew them "
        "from noise. Such a model can memorise a film. "
    )
    several = [policy.required[level] for level in (Level.STANDARD, Level.FULL)]
    if missing := [name for name in COPY_TESTS if not all(name in names for names in several)]:
        return Verdict.FAIL, text + (
            f"Copies are looked for by {_listed(COPY_TESTS)}, and the policy does not require "
            f"{_listed(missing)}; add what is missing to its levels standard and full."
        )
    if evidence.nulls is None:
        return Verdict.INCONCLUSIVE, text + (
            "There are no null releases to compare with; audit at level standard or full, and if "
            "none were made there, hold out more patients."
        )
    return Verdict.PASS, text + f"{_listed(COPY_TESTS)} look for copies."


def _listed(names: Sequence[str]) -> str:
    """Returns names as a person lists them."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
