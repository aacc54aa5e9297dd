"""From a sighting to the alert on the wire: pure."""

from roost_broker.headers import Header
from roost_broker.messages import Alert, encode
from roost_broker.topics import NodeTopics
from roost_edge.alerts.outbox import Letter
from roost_edge.alerts.sightings import Announce


def write_alert(announce: Announce, topics: NodeTopics, header: Header) -> Letter:
    """Address and encode one alert."""
    sighting = announce.sighting
    alert = Alert(
        timestamp=header.timestamp,
        message_id=header.message_id,
        provenance=header.provenance,
        type=announce.type,
        alert_id=sighting.alert_id,
        camera=sighting.camera,
        task=sighting.task,
        label=sighting.label,
        score=sighting.score,
        requests=sighting.requests,
        started_at=sighting.started_ms,
        last_at=sighting.last_ms,
        request_id=sighting.best_request_id,
        frame=sighting.frame,
    )
    return Letter(announce.type, topics.camera(sighting.camera).events, encode(alert))
