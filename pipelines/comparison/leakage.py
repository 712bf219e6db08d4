"""What a release may leak at most: by its guarantee, or else by what its audit tested.

The two are not the same kind of number. A guarantee bounds every attack; an audit bounds only those
that it made. For an audit it is the largest of the 95 % upper bounds of all attacks on membership,
by each of their attackers. If the strongest of them were above this number, its own bound would
have to be wrong, too, which happens in 5 % of all audits at most; so the largest of several bounds
needs no correction.
"""

from dataclasses import dataclass

from pipelines.run.store import Json

_AT_5 = "5.0%"


@dataclass(frozen=True)
class Attack:
    """The attack with the largest upper bound.

    Attributes:
        audit: its number, such as "A2".
        estimate: its AUC.
        bound: the 95 % upper bound of it.
        caught: 95 % upper bound of the members caught at 5 % false alarms, by the attack for which
            it is largest; None if there are too few controls to say.
    """

    audit: str
    estimate: float
    bound: float
    caught: float | None


@dataclass(frozen=True)
class Leakage:
    """What is known of the leakage of one release.

    Attributes:
        attack: the strongest attack of the audit; None if an attack was not valid.
        guaranteed: AUC that no attack exceeds; None without a guarantee.
        guaranteed_caught: share of members that no attack exceeds at 5 % false alarms; likewise.
    """

    attack: Attack | None
    guaranteed: float | None
    guaranteed_caught: float | None

    @property
    def bound(self) -> float | None:
        """The AUC that stands for the release: the guarantee's, else the audit's."""
        audited = None if self.attack is None else self.attack.bound
        return audited if self.guaranteed is None else self.guaranteed

    @property
    def caught(self) -> float | None:
        """The share of members caught at 5 % false alarms, likewise."""
        audited = None if self.attack is None else self.attack.caught
        return audited if self.guaranteed is None else self.guaranteed_caught


def leakage(audit: Json) -> Leakage:
    """Returns what an audit and the guarantee it states say.

    Args:
        audit: as it is stored.
    """
    guarantee = audit["guarantee"]
    reach = {} if guarantee is None else guarantee["an attacker reaches at most"]
    return Leakage(strongest(audit), reach.get("AUC"), reach.get("rate at 5 %"))


def strongest(audit: Json) -> Attack | None:
    """Returns the attack with the largest upper bound; None unless all of them gave one."""
    wanted = audit["policy"]["statistical"]
    made = [one for one in audit["findings"] if one["audit"] in wanted]
    rows = [(one["audit"], row) for one in made for row in one["details"].get("attackers", [])]
    if not rows or any(one["high"] is None for one in made):
        return None
    name, worst = max(rows, key=lambda row: row[1]["high"])
    tails = [one["details"]["members caught, by share of controls caught"][_AT_5] for one in made]
    caught = [tail["high"] for tail in tails if not isinstance(tail, str)]
    return Attack(name, worst["auc"], worst["high"], max(caught, default=None))


def kind(audit: Json) -> tuple[str, str, str]:
    """Returns how an audit attacked, in words: only bounds of the same kind can be compared."""
    wanted = audit["policy"]["statistical"]
    made = [one["audit"] for one in audit["findings"] if one["audit"] in wanted]
    nulls = audit["null releases"]
    beside = "without null releases" if nulls == "none" else f"with null releases of the {nulls}"
    return f"at level {audit['level']}", beside, f"by {', '.join(made)}"


def limit(audit: Json) -> float | None:
    """Returns the AUC of attacks that the policy of an audit allows; None if it made none."""
    wanted = audit["policy"]["statistical"]
    return next((one["limit"] for one in audit["findings"] if one["audit"] in wanted), None)
