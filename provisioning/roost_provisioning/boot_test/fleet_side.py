"""The fleet's side of the story: an authority, its desk, an operator. Every step is a command a person could type."""

import sys
from pathlib import Path
from typing import Any, Final, Self

from roost_edge.demo_loop.commands import Commands, Say
from roost_provisioning.boot_test.device_link import Papers

NODE: Final = "coop-1"
ROOST: Final = (sys.executable, "-c", "from roost_provisioning.cli import main; raise SystemExit(main())")
OPERATOR: Final = "boot-test"
_DESK_S: Final = 120.0
_REFUSED: Final = 1
_ISSUED: Final = "a certificate for "


class FleetSide:
    """A context manager: the desk ends with it. Everything lies below `folder`."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder = folder
        self._do = Commands(folder, lambda line: say(f"  {line}"), program=ROOST)
        self.papers = Papers(*(folder / "papers" / name for name in ("ca.pem", f"{OPERATOR}.pem", f"{OPERATOR}.key")))
        self._port = 0

    def __enter__(self) -> Self:
        """Nothing runs before `begin`."""
        return self

    def __exit__(self, *_: object) -> None:
        self._do.stop()

    def begin(self, known_as: str) -> str:
        """Set up the authority and its desk, which the device knows as `known_as`. Returns the desk's address."""
        self._do.run("pki", "init", "henhouses", "--root-keys", "root-keys", show=False)
        self._do.run("pki", "issue", "operator", OPERATOR, "--out", "papers", show=False)
        self._desk = self._do.serve("desk", "pki", "serve", "--host", known_as, "--port", "0")
        self._url = self._do.until(
            lambda: next((word for word in self._desk.log.read_text().split() if word.startswith("https://")), ""),
            what="the enrolment desk",
            timeout_s=_DESK_S,
            server=self._desk,
        )
        return self._url

    def personalise(self, card: Path, *further: str | Path) -> None:
        """Make the card out to one device: its name, a one-time token, where the desk is."""
        self._do.run("pki", "token", "--name", NODE, "--out", "token", show=False)
        where = ("--desk", self._url, "--token-file", "token", "--ca", "authority/public/trust.pem")
        self._do.run("image", "personalise", card, "--in-place", "--name", NODE, *where, *further)

    def has_issued(self) -> bool | None:
        """Whether the desk has issued a certificate; None while it has not. Looks into its log, which costs nothing."""
        return _ISSUED in self._desk.log.read_text(encoding="utf-8", errors="replace") or None

    def enrolled(self) -> tuple[str, ...]:
        """Names of the devices that have a certificate, by the authority's own books."""
        found: dict[str, Any] = self._do.data("pki", "status", expect=(0, _REFUSED))
        names = (str(member["identity"]) for member in found["members"])
        return tuple(name.removeprefix("device:") for name in names if name.startswith("device:"))

    def refuses_the_token(self) -> bool:
        """Try to enrol another device, with a key of its own, by the token that is used."""
        seed = self._folder / "stolen"
        seed.mkdir()
        token = (self._folder / "token").read_text(encoding="ascii").strip()
        trust = (self._folder / "authority" / "public" / "trust.pem").read_text(encoding="ascii")
        address = f"https://localhost:{self._url.rpartition(':')[2]}"
        (seed / "ca.pem").write_text(trust, encoding="ascii")
        (seed / "seed.toml").write_text(f'[enrol]\nurl = "{address}"\ntoken = "{token}"\n', encoding="ascii")
        self._do.run("enrol", "--seed", "stolen", "--identity", "thief", expect=(_REFUSED,), show=False)
        return not (self._folder / "thief" / "device.pem").exists()
