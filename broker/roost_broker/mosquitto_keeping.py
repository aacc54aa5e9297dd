"""What every Mosquitto of ours keeps and bounds, private or a device's own; every line with its reason. Pure.

What Mosquitto cannot promise (measured, `docs/decisions`): killed with -9 it forgets everything since its last
save, sessions included. `autosave_on_changes` would reduce that to one message, but then each message rewrites the
whole queue (29 messages/s with 20,000 queued) and wears out the card. So it is the fast path, not the store of
record: the request log, the decoy's receipts and the durable outboxes mend what it loses.
"""

import msgspec

from roost_broker.errors import Misuse
from roost_broker.messages import MAX_BYTES


class Keeping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices. Whoever inherits them calls `check`."""

    autosave_s: int = 300
    """Seconds between saves. A clean stop saves as well."""
    max_queued_messages: int = 5000
    """Messages kept for one session that is away or behind. Mosquitto drops silently beyond it."""
    max_inflight: int = 64
    """Unacknowledged messages per client and direction."""
    session_expiration_days: int = 14
    """Sessions whose owner never returned are forgotten after this time."""

    def check(self) -> None:
        """Raises `Misuse`."""
        for name, least, most in (
            ("autosave_s", 1, 86_400),
            ("max_queued_messages", 1, 1_000_000),
            ("max_inflight", 1, 65_535),
            ("session_expiration_days", 1, 3650),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise Misuse(f"mosquitto.{name} is {value}.", f"Use a value from {least} to {most}.")


def keeping_lines(settings: Keeping, folder: str) -> str:
    """The part of a mosquitto.conf (Mosquitto >= 2.0). Sessions and retained messages are saved in `folder`."""
    return f"""\
# A session outlives its connection and the broker's restart: a role that restarts continues where it was.
persistence true
persistence_location {folder.rstrip("/")}/
# Saved by time, not by number of changes: saving on every message rewrites the whole queue each time.
autosave_interval {settings.autosave_s}
autosave_on_changes false
# Roles ask for a session of days themselves; a client that asks for ever is forgotten after this.
persistent_client_expiration {settings.session_expiration_days}d

# A bound on what waits for a role that is away. What is dropped beyond it is mended by the request log.
max_queued_messages {settings.max_queued_messages}
# Nobody waits for a message that was not worth an acknowledgement.
queue_qos0_messages false
# Back-pressure: told to clients as Receive Maximum.
max_inflight_messages {settings.max_inflight}
# The contract's largest payload ({MAX_BYTES} bytes) and room for topic and properties. Clients are told it.
max_packet_size {MAX_BYTES + 4_000}

# A request waits for nobody's full packet.
set_tcp_nodelay true
# The journal hears of trouble; every connection would be noise.
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""
