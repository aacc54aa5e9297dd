"""Settings of the notifications, light because every role reads the settings file."""

import msgspec


class NotifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where notices go beside MQTT, and how long they are tried. Bad values raise ValueError."""

    urls: str
    """File with one address of apprise on each line. It holds secrets: its owner alone may read it (0600)."""
    rules: tuple[str, ...] = ()
    """Notices of these rules alone; empty: of all. A test is always sent."""
    picture: bool = True
    """Attach the picture, without what its file tells beside it."""
    picture_width: int = 1280
    """Longest side, in pixels."""
    picture_max_bytes: int = 500_000
    title: str = ""
    """Empty: the device's name."""
    expiry_s: int = 3600
    """A notice that could not be sent for so long is news no longer."""
    max_waiting: int = 500
    """Notices kept for services that cannot be reached. Beyond it the oldest are dropped, and counted."""
    retry_s: float = 10.0
    """After a failure; twice as long after each further one, up to `retry_max_s`."""
    retry_max_s: float = 600.0
    max_per_hour: int = 60
    """More wait for their turn, until they expire: a rule gone wild must not cost money or an account."""
    timeout_s: float = 60.0
    """For all services together. What has not answered by then is ended, and tried again later."""

    def __post_init__(self) -> None:
        if not self.urls or "\0" in self.urls:
            raise ValueError("urls names the file with the addresses")
        for name, low, high, unit in (
            ("picture_width", 64, 4_096, " pixels"),
            ("picture_max_bytes", 5_000, 10_000_000, " bytes"),
            ("expiry_s", 10, 604_800, " seconds"),
            ("max_waiting", 1, 100_000, " notices"),
            ("retry_s", 0.1, 3_600.0, " seconds"),
            ("retry_max_s", 0.1, 86_400.0, " seconds"),
            ("max_per_hour", 1, 3_600, " notices"),
            ("timeout_s", 1.0, 600.0, " seconds"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(f"{name} is {value}, but must lie between {low:g} and {high:g}{unit}")
        if len(self.title) > 200:
            raise ValueError("title is longer than 200 characters")
