"""What a broker refuses, in sentences that say as whom, what, and what to do next."""

import ssl

from roost_broker.errors import PeerError
from roost_broker.settings import BrokerSettings

_RULES = "Its access rules come from the settings by `roost broker setup`; run it after a change of the settings."
_NOT_AUTHORIZED = 0x87
_PASSWORD = (0x86, _NOT_AUTHORIZED)


def who(settings: BrokerSettings) -> str:
    """The user as sentences name him."""
    if settings.username is not None:
        return f"the user {settings.username!r}"
    return "whoever this certificate names" if settings.certificate else "anybody without a name"


def connection_refused(settings: BrokerSettings, client_id: str, code: int, reason: str) -> PeerError:
    """The broker's greeting was none."""
    place = f"The broker at {settings.host}:{settings.port}"
    if code not in _PASSWORD:
        return PeerError(f"{place} refused {client_id!r}: {reason}.", "Check the client id and the broker's version.")
    problem = f"{place} does not let in {who(settings)} ({client_id!r}): {reason}."
    if settings.username is None:
        return PeerError(problem, "Give broker.passwords (the folder that `roost broker setup` makes) in the settings.")
    return PeerError(
        problem, "Run `roost broker setup` as root: it makes passwords where they are missing, and reloads the broker."
    )


def publication_refused(settings: BrokerSettings, topic: str, code: int, reason: str) -> PeerError:
    """The broker acknowledged a message and did not take it."""
    if code == _NOT_AUTHORIZED:
        return PeerError(f"The broker does not let {who(settings)} publish on {topic}.", _RULES)
    return PeerError(f"The broker did not take a message on {topic}: {reason}.", "Check its access rules and limits.")


def subscription_refused(settings: BrokerSettings, topic_filter: str, code: int, reason: str) -> PeerError:
    """The broker will not deliver what was subscribed to."""
    if code == _NOT_AUTHORIZED:
        return PeerError(f"The broker does not let {who(settings)} subscribe to {topic_filter}.", _RULES)
    return PeerError(f"The broker refused a subscription to {topic_filter}: {reason}.", "Check its access rules.")


def not_trusted(settings: BrokerSettings, error: OSError | None) -> PeerError:
    """One of the two did not accept the other's certificate, or they speak no common TLS.

    `error` is what the connection ended with: the reason, or only that the broker hung up before its reason was read.
    """
    place = f"{settings.host}:{settings.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return PeerError(
            f"The broker at {place} is not whom we trust: {error.verify_message.rstrip('.')}.",
            "Check broker.ca, broker.server_name, and this machine's clock.",
        )
    reason = (error.reason if isinstance(error, ssl.SSLError) else "") or "it hung up"
    return PeerError(
        f"The broker at {place} and we do not come together by TLS: {reason.lower().replace('_', ' ')}.",
        "Check broker.certificate: of the broker's own fleet, not expired, not revoked; and that the port speaks TLS.",
    )
