"""Settings of the page, validated when made: the section `[page]`, whose presence switches the role on."""

from msgspec import Struct

from roost_broker.errors import Misuse

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class PageSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the page listens and what it may cost. Raises `Misuse`."""

    host: str = "127.0.0.1"
    """Where to listen. Anywhere but on loopback it needs `tls_certificate`, `tls_key` and a password
    (`roost page password`)."""
    port: int = 8490
    """0 takes any free port; the role's retained state and its log say which."""
    tls_certificate: str = ""
    """A chain, PEM. With it the page is HTTPS, on loopback too."""
    tls_key: str = ""
    """Its key, PEM."""
    session_hours: int = 24
    """Who has logged in stays so for so long after his last look."""
    max_sessions: int = 32
    """Beyond it the one that was used least recently ends."""
    max_connections: int = 64
    max_live: int = 8
    """Pages that are told of changes as they happen; one more looks for itself every ten seconds."""
    live_every_ms: int = 1_000
    """A page is told of changes no more often than this."""
    picture_cache_mb: int = 4
    """Small pictures that are kept in memory."""
    corrections_kept: int = 10_000
    """Corrections of labels that are kept on the device, those that still wait for the broker included."""

    def __post_init__(self) -> None:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise Misuse("A certificate and its key go together.", "Set page.tls_certificate and page.tls_key.")
        if not self.local and not self.tls_certificate:
            raise Misuse(
                f"page.host is {self.host!r}: passwords and pictures would travel in the clear.",
                "Set page.tls_certificate and page.tls_key; or leave page.host out, and use a tunnel (ssh -L).",
            )
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise Misuse(f"page.{name} is {value}.", f"Use a value from {least} to {most}.")

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK

    @property
    def secure(self) -> bool:
        """Whether it is HTTPS."""
        return bool(self.tls_certificate)


_RANGES = (
    ("port", 0, 65_535),
    ("session_hours", 1, 8_760),
    ("max_sessions", 1, 1_000),
    ("max_connections", 4, 1_000),
    ("max_live", 0, 500),
    ("live_every_ms", 100, 60_000),
    ("picture_cache_mb", 0, 256),
    ("corrections_kept", 10, 1_000_000),
)
