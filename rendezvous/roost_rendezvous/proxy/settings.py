"""Settings of the request proxy, validated when made: the section `[proxy]`, whose presence switches the role on."""

from msgspec import Struct

from roost_broker.errors import Misuse

LOOPBACK = "127.0.0.1"


class ProxySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in milliseconds, sizes in bytes or megabytes as named, the rest are counts. Raises `Misuse`."""

    host: str = LOOPBACK
    """Where to listen: loopback and nothing else, until there are TLS and identities."""
    port: int = 8470
    """0 takes any free port; the role's retained state and its log say which."""
    deadline_ms: int = 2_000
    """For a request that names none while the task's schedule, whose SLA it would be, is not known yet."""
    max_deadline_ms: int = 60_000
    """Longest deadline that a request may ask for."""
    margin_ms: int = 500
    """How long after a request's deadline its result is still waited for; then 503."""
    max_in_flight: int = 64
    """Callers that wait for a result; one more is refused with 429."""
    stream_in_flight: int = 16
    """Requests of one stream that wait for a result; beyond it no more of the stream is read."""
    max_connections: int = 128
    max_body_bytes: int = 8_000_000
    """Largest body of a request, and longest line of a stream."""
    body_memory_bytes: int = 32_000_000
    """All bodies together that are in memory at a time; beyond it 429."""
    max_pixels: int = 25_000_000
    """Most pixels of a picture, read from its header before anybody decodes it."""
    max_header_bytes: int = 8_000
    """Longest request line and longest header."""
    header_timeout_ms: int = 10_000
    """How long a connection may take to say what it wants, and stay open without wanting anything."""
    body_timeout_ms: int = 30_000
    """How long a body may take to arrive, and an answer to be taken."""
    stream_idle_ms: int = 300_000
    """How long a stream may say nothing."""
    frames_budget_mb: int = 200
    """Pictures that came by HTTP and are kept for models that are late; the archive has its own copies."""
    remember: int = 10_000
    """Ended requests kept in mind, so that a repeated or late result is called by its name."""
    drain_ms: int = 2_000
    """How long waiting callers are given when the role stops."""
    state_every_ms: int = 5_000
    """How often counts are published, if they changed."""

    def __post_init__(self) -> None:
        if self.host != LOOPBACK:
            raise Misuse(
                f"proxy.host is {self.host!r}: the proxy has neither TLS nor identities yet.",
                f'Use "{LOOPBACK}", and a tunnel (ssh -L) from elsewhere.',
            )
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise Misuse(f"proxy.{name} is {value}.", f"Use a value from {least} to {most}.")
        if self.body_memory_bytes < self.max_body_bytes:
            raise Misuse(
                f"proxy.body_memory_bytes is {self.body_memory_bytes}, less than one body may have.",
                f"Use {self.max_body_bytes} (proxy.max_body_bytes) or more.",
            )
        if self.frames_budget_mb * 1_000_000 < self.max_body_bytes:
            raise Misuse(
                f"proxy.frames_budget_mb is {self.frames_budget_mb}, less than one picture may have.",
                "Raise it, or lower proxy.max_body_bytes.",
            )


_RANGES = (
    ("port", 0, 65_535),
    ("deadline_ms", 1, 3_600_000),
    ("max_deadline_ms", 1, 3_600_000),
    ("margin_ms", 0, 60_000),
    ("max_in_flight", 1, 10_000),
    ("stream_in_flight", 1, 10_000),
    ("max_connections", 1, 10_000),
    ("max_body_bytes", 1_000, 100_000_000),
    ("body_memory_bytes", 1_000, 10_000_000_000),
    ("max_pixels", 1, 1_000_000_000),
    ("max_header_bytes", 500, 100_000),
    ("header_timeout_ms", 50, 3_600_000),
    ("body_timeout_ms", 50, 3_600_000),
    ("stream_idle_ms", 50, 86_400_000),
    ("frames_budget_mb", 1, 10_000_000),
    ("remember", 1, 1_000_000),
    ("drain_ms", 0, 60_000),
    ("state_every_ms", 100, 3_600_000),
)
