"""What the alerts role answers when it is asked: how cameras, sightings, rules and switches stand. Pure."""

from collections.abc import Mapping
from typing import Any

from roost_broker.clock import SECOND
from roost_edge.alerts.rule_settings import RuleSettings
from roost_edge.alerts.rules import RuleMemory
from roost_edge.alerts.sightings import Sighting


def how_alerts_stand(
    *,
    counts: Mapping[str, int],
    sightings: tuple[Sighting, ...],
    rules: Mapping[str, RuleSettings],
    memory: tuple[RuleMemory, ...],
    switches: Mapping[str, str],
    absence_due_ns: int | None,
) -> dict[str, Any]:
    """Plain values. `counts` say why what was seen was not told, such as `rule-hens-cooldown`."""
    return {
        "sightings": [
            {
                "alertId": one.alert_id,
                "task": one.task,
                "camera": one.camera,
                "label": one.label,
                "score": one.score,
                "requests": one.requests,
                "startedAt": one.started_ms,
                "lastAt": one.last_ms,
            }
            for one in sightings
        ],
        "rules": {
            one.rule: {
                "kind": "absent" if rules[one.rule].absent_by else "seen",
                "firedAt": one.fired_ms or None,
                "presentOn": one.present_on or None,
                "judgedOn": one.judged_on or None,
            }
            for one in memory
        },
        "absenceDueInS": None if absence_due_ns is None else absence_due_ns // SECOND,
        "switches": dict(switches),
        "counts": dict(counts),
    }
