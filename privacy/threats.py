"""What the audits ask, about which attackers, and which lists of risks they answer to.

Both reports show these texts. Every audit has a row, whether or not it exists yet, because a report
names the audits that did not run. No text here may claim more than that a test was made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = Any

HONEST = "honest error"
"""Against what an audit helps: what a method, a setting or a slip lets out. Somebody who makes the
release and knows the audit can get around it."""
MALICE = "honest error and malice"
"""It also holds against somebody inside, within what its text says."""


@dataclass(frozen=True)
class Threat:
    """Somebody who may try to learn about a patient.

    Attributes:
        knows: what the attacker has.
        wants: what the attacker tries to do.
    """

    knows: str
    wants: str


@dataclass(frozen=True)
class Question:
    """What one audit asks.

    Attributes:
        name: the audit's subject.
        threats: the attackers it is about; empty for audits that only make the others valid.
        asks: the question, in plain words.
        against: ``HONEST`` or ``MALICE``.
    """

    name: str
    threats: tuple[str, ...]
    asks: str
    against: str = HONEST


@dataclass(frozen=True)
class Risk:
    """One entry of somebody's list of risks.

    Attributes:
        name: its name in that list.
        audits: the audits that test it; empty if none does.
        note: what else the report says about it.
    """

    name: str
    audits: tuple[str, ...]
    note: str = ""


THREATS = {
    "T1": Threat(
        "the release, how it was made, films of other people, and a film of one person",
        "to find out whether that person was in the training set",
    ),
    "T2": Threat(
        "the same as T1, but a different film of that person, not the one that was used",
        "to link the person to the training set, or to a released image",
    ),
    "T3": Threat("the release alone", "to recover or to recognise a patient's film"),
    "T4": Threat(
        "the release and all patients of the training set except one",
        "to find out whether the last patient was in it",
    ),
    "T5": Threat(
        "several releases whose patients overlap, such as before and after one patient came",
        "to learn about that patient from the difference",
    ),
    "T6": Threat(
        "films, program and release: somebody inside, who makes the release",
        "to carry something out in it that nobody sees, such as a film or a list of names",
    ),
}

ATTACKERS = {
    "films": "knows the films of all these people, but not whose were used",
    "films and releases": "has also seen releases that the same method made of other people",
}
"""Who makes A1, A2 and A3. The second knows by how much every release would lean towards a film."""

QUESTIONS = {
    "G1": Question(
        "Patients behind an image",
        ("T1", "T3"),
        "Are there enough patients behind every released image?",
    ),
    "G2": Question(
        "Start",
        ("T3",),
        "Did the images start from something that contains no film, or are copies looked for?",
    ),
    "G3": Question(
        "Contents of the bundle",
        ("T1", "T3", "T6"),
        "Do only images, labels, code to read and train on them, and reports leave?",
        MALICE,
    ),
    "G4": Question("Identifiers", ("T3",), "Does an outgoing file contain a patient's identifier?"),
    "G5": Question(
        "Rounding",
        ("T1", "T3", "T6"),
        "Are images and labels rounded, so that little fits into digits that nobody looks at?",
        MALICE,
    ),
    "G6": Question(
        "Constants",
        ("T1",),
        "Are the constants of the preprocessing public, and not computed from patients?",
    ),
    "G7": Question(
        "Earlier releases", ("T5",), "Was anything from the same patients released before?"
    ),
    "G8": Question(
        "Audited files", ("T6",), "Are the outgoing files the files that were audited?", MALICE
    ),
    "G9": Question(
        "Made again",
        ("T6",),
        "Does the frozen job give this release once more, to the last bit? (medidd audit --redo)",
        MALICE,
    ),
    "A0": Question(
        "Validity",
        (),
        "Without the release, do members and controls look alike, so that they can be compared?",
    ),
    "A1": Question(
        "Tracing",
        ("T1", "T2"),
        "Does what the method matched, or the model that it learned, point to the patients it came "
        "from?",
    ),
    "A2": Question(
        "Networks trained on the release",
        ("T1",),
        "Are networks trained on the release surer about members than about controls?",
    ),
    "A3": Question(
        "Distance", ("T1",), "Do films of members lie closer to the release than films of controls?"
    ),
    "A5": Question("Copies", ("T3",), "Is a released image a copy of one patient's film?"),
    "A5b": Question(
        "Closeness of the set",
        ("T3",),
        "Do the images, taken together, lie closer to the members than to the controls?",
    ),
    "A5c": Question(
        "Same-patient verification",
        ("T2",),
        "Would a network that recognises patients match a released image to a patient's film?",
    ),
    "A6": Question("Unmixing", ("T3",), "Is a released image a mixture of only a few patients?"),
    "A7": Question(
        "Subgroups",
        ("T1",),
        "Are unusual patients, or those of one sex, age or device, more exposed than the rest?",
    ),
    "A8": Question(
        "Worst case",
        ("T4",),
        "How much do releases made to be attacked reveal about patients made to stand out?",
    ),
    "A9": Question(
        "Naming",
        ("T3",),
        "Do the images, taken together, name members more often or more clearly than chance does?",
    ),
}

WP29 = (
    Risk("Singling out", ("A5", "A6", "A9")),
    Risk("Linkability", ("A5c",)),
    Risk("Inference", ("A1", "A2", "A3", "A7"), "that a person was in the training set"),
)
"""Article 29 Working Party, Opinion 05/2014 on anonymisation techniques."""

EDPB = (
    Risk("Membership inference", ("A1", "A2", "A3", "A7", "A8")),
    Risk("Attribute inference", (), "what a known diagnosis makes likely about a person"),
    Risk("Exfiltration", ("G3", "G4", "G5"), "of what the files hold in addition to the images"),
    Risk("Regurgitation of training data", ("A5", "A5b", "A9")),
    Risk("Model inversion", (), "no model is released; whoever trains one can try to invert it"),
    Risk("Reconstruction", ("A5", "A6")),
)
"""European Data Protection Board, Opinion 28/2024 on AI models: tests of resistance to attacks."""

LIMITS = (
    "attacks that nobody has thought of, or that need more computing power than these;",
    "leakage below the bounds, and leakage about single unusual patients;",
    "what an insider could do by choosing which films are learned from, or how;",
    "models: none is released, and a model trained on the release needs its own audit;",
    "what is true of people in general: how a disease looks is not about one person.",
)
"""What none of these audits looks at."""

INSIDE = (
    "Most audits are about honest error: what a method, a setting or a slip lets out. Somebody "
    "inside, who makes the release and wants to carry something out in it, can get around them: "
    "with a film that is changed enough, or with bits that look like noise.",
    "The same job gives the same bytes. So the release can be made again and compared bit by bit, "
    "with medidd audit --redo. This alone sees hidden bits, and it holds for those who trust the "
    "computer, the program and the films.",
)
"""What the reports say of T6."""

POWER = {
    "smallest_auc": "smallest AUC of an attack that would be noticed four times out of five",
    "null_se": "standard error of an AUC if nothing leaks",
    "chance_to_pass": "chance that one attack passes if nothing leaks",
    "perfect_epsilon": "highest epsilon that a perfect attack could prove",
    "one_run_epsilon": "the same if each patient is guessed once, in one run",
}
"""What the numbers of ``privacy.statistics.power`` mean."""

ANALOGY = (
    "EMA Policy 0070 and Health Canada recommend the share .09, a cell of 11 people, as the "
    "highest risk of re-identification in published clinical reports. Using it for membership "
    "inference is an analogy, not their rule."
)

NO_GUARANTEE = (
    "No differential privacy is claimed: there is no epsilon and no delta, and the bounds hold for "
    "the attacks that were made, not for all attacks."
)

HIPAA = (
    "This report may be an input to an expert determination under HIPAA, 45 CFR 164.514(b)(1). It "
    "is not that determination."
)


def covered(risks: Iterable[Risk], ran: Iterable[str]) -> list[Json]:
    """Returns each risk with the audits that tested it and those that did not run."""
    known = list(ran)
    return [
        {
            "risk": risk.name,
            "note": risk.note,
            "tested by": [name for name in risk.audits if name in known],
            "not run": [name for name in risk.audits if name not in known],
        }
        for risk in risks
    ]


def threats(ran: Iterable[str]) -> list[Json]:
    """Returns each threat with the audits that ran against it and those that did not."""
    known = list(ran)
    return [
        {
            "threat": number,
            "knows": threat.knows,
            "wants": threat.wants,
            "tested by": [n for n, q in QUESTIONS.items() if number in q.threats and n in known],
            "not run": [n for n, q in QUESTIONS.items() if number in q.threats and n not in known],
        }
        for number, threat in THREATS.items()
    ]


def inside(findings: Iterable[Json]) -> Json:
    """Returns what an insider could do: the room for hidden bits, and whether G9 looked for them.

    Args:
        findings: of the audit, as JSON.
    """
    found = {finding["audit"]: finding for finding in findings}
    room = found["G5"]["details"].get("room, bits") if "G5" in found else None
    made = str(found["G9"]["verdict"]) if "G9" in found else None
    return {"said": list(INSIDE), "room": room, "made again": made}


def untested(ran: Iterable[str]) -> list[Json]:
    """Returns the audits that did not run."""
    known = list(ran)
    return [
        {"audit": name, "name": question.name, "asks": question.asks}
        for name, question in QUESTIONS.items()
        if name not in known
    ]
