"""The report for outsiders on a release with a guarantee: what is promised, and nothing measured.

Every figure of the audits depends on patients, and no noise covers it. So none of them leaves; the
report says that audits were made, not what they found.
"""

from pipelines.reports.pages import environment
from pipelines.run.store import Json, dumped
from privacy.promises import ASSUMPTIONS, PROMISE, WHERE, rows
from privacy.threats import HIPAA, THREATS, inside


def guarantee_report(audit: Json) -> dict[str, bytes]:
    """Returns the report of an audit whose release has a guarantee."""
    report = {
        "verdict": "GUARANTEED",
        "level": audit["level"],
        "accepted": None,
        "unit": audit["unit"],
        "guarantee": audit["guarantee"],
        "promise": PROMISE,
        "covered": WHERE,
        "assumptions": list(ASSUMPTIONS),
        "inside": inside(audit["findings"]),
        "audits made": [finding["audit"] for finding in audit["findings"]],
        "audited": audit["sha256"],
    }
    page = (
        environment()
        .get_template("guarantee.html")
        .render(
            report=report,
            inside=report["inside"],
            rows=rows(audit["guarantee"]),
            threats=THREATS,
            hipaa=HIPAA,
        )
    )
    return {"audit.json": dumped(report), "audit.html": page.encode()}
