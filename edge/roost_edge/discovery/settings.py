"""Settings of Home Assistant's discovery, light because every role reads the settings file."""

import msgspec

from roost_broker.topics import is_topic


class DiscoverySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the device announces itself to Home Assistant. Bad values raise ValueError."""

    enabled: bool = True
    """false takes back what was announced: Home Assistant then removes the device."""
    prefix: str = "homeassistant"
    """Home Assistant's own setting of that name."""
    birth: str = ""
    """Where Home Assistant says that it has started; empty: `<prefix>/status`, as it does by itself."""
    jitter_s: float = 10.0
    """After its start each device announces itself anew within this time, not all at once."""
    name: str = ""
    """What people call the device; empty: "Roost <node>"."""
    area: str = ""
    """Suggested, such as "Garden"."""
    url: str = ""
    """Page of the device that Home Assistant links to, such as "http://coop-1.local:8080"."""

    def __post_init__(self) -> None:
        for name, topic in (("prefix", self.prefix), ("birth", self.birth or self.prefix)):
            if not is_topic(topic) or topic.startswith(("$", "/")) or topic.endswith("/") or not topic.isprintable():
                raise ValueError(f"{name} is {topic[:80]!r}, which is no topic such as homeassistant")
        if not 0.0 <= self.jitter_s <= 600.0:
            raise ValueError(f"jitter_s is {self.jitter_s}, but must lie between 0 and 600 seconds")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url begins with http:// or https://")
        for name in ("name", "area", "url"):
            if len(getattr(self, name)) > 200:
                raise ValueError(f"{name} is longer than 200 characters")

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant's birth message comes."""
        return self.birth or f"{self.prefix}/status"
