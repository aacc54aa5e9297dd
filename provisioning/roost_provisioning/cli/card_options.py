"""Options that say whose card it is, and what they become. Shared by `personalise` and `customise`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli.reporter import Reporter, reporting

if TYPE_CHECKING:
    from roost_edge.enrolment.seed import Seed
    from roost_provisioning.image.card_identity import CardIdentity, Login, Wifi
    from roost_provisioning.pki.authority import Authority

Image = Annotated[
    Path, typer.Argument(metavar="IMG", help="An image (.img, .img.xz, .img.zst, .img.gz), or a card's /dev/sdX.")
]
Scratch = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where a packed image is unpacked to meanwhile. Default: the cache.")
]

_FILE = {"exists": True, "dir_okay": False, "readable": True}

SeedFile = Annotated[Path | None, typer.Option("--seed", metavar="DIR", help="A folder with seed.toml (and ca.pem).")]
Desk = Annotated[str, typer.Option(metavar="URL", help="The enrolment desk: https://centre.example:8443.")]
TokenFile = Annotated[Path | None, typer.Option(help="A file with a token of `roost pki token`; - reads stdin.")]
CaFile = Annotated[Path | None, typer.Option("--ca", help="The authority's certificates (public/trust.pem).")]
CaSha256 = Annotated[str, typer.Option(metavar="HEX", help="In place of --ca: SHA-256 of the root's certificate.")]
AuthorityFolder = Annotated[
    Path | None, typer.Option("--authority", metavar="DIR", help="Ask this authority for a token for each card.")
]
ValidDays = Annotated[int, typer.Option(min=1, max=365, help="So long are those tokens good.")]
User = Annotated[str, typer.Option(help="Who may log in. Without: nobody may.")]
SshKeys = Annotated[list[Path] | None, typer.Option("--ssh-key", help="Their public keys (….pub); as often as needed.")]
PasswordFile = Annotated[Path | None, typer.Option(help="Their password, in a file; only its hash goes onto the card.")]
WifiName = Annotated[str, typer.Option("--wifi", metavar="SSID", help="A Wi-Fi network.")]
WifiPasswordFile = Annotated[Path | None, typer.Option(help="Its passphrase, in a file; what WPA makes of it goes on.")]
WifiCountry = Annotated[str, typer.Option(metavar="CC", help="Where the device will be: DE, GB, US …")]
WifiHidden = Annotated[bool, typer.Option("--wifi-hidden", help="The network does not tell its name.")]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="The device's settings; [node] name is set for each card.", **_FILE)
]
Schedules = Annotated[
    list[Path] | None, typer.Option("--schedule", help="A schedule, or a folder of them; as often as needed.")
]


class Megabytes:
    """A reporter that is told bytes and shows megabytes."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def progress(self, done: int, total: int | None) -> None:
        """See `Reporter`."""
        self._reporter.progress(done // 1_000_000, None if total is None else total // 1_000_000)

    def note(self, text: str) -> None:
        """See `Reporter`."""
        self._reporter.note(text)


@contextmanager
def reporting_megabytes(title: str) -> Iterator[Megabytes]:
    """The reporter that suits stderr, for work on images."""
    with reporting(f"{title}, MB") as reporter:
        yield Megabytes(reporter)


def scratch_of(given: Path | None) -> Path:
    """Where packed images are unpacked to: on a disk, not in a /tmp that may be memory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return given or cache / "roost" / "scratch"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What was said on the command line."""

    seed: Path | None
    desk: str
    token_file: Path | None
    ca: Path | None
    ca_sha256: str
    authority: Path | None
    valid_days: int
    user: str
    ssh_keys: list[Path] | None
    password_file: Path | None
    wifi: str
    wifi_password_file: Path | None
    wifi_country: str
    wifi_hidden: bool
    settings: Path | None
    schedules: list[Path] | None

    def needs_tokens(self) -> bool:
        """Each card gets a token of its own, from the authority."""
        return self.authority is not None

    def template(self) -> "CardIdentity":
        """What all cards have in common; its name is a placeholder. Raises `Misuse` for what cannot be."""
        from roost_provisioning.image.card_identity import CardIdentity
        from roost_provisioning.image.card_settings import settings_files

        return CardIdentity(
            name="",
            seed=self._seed(),
            login=self._login(),
            wifi=self._wifi(),
            files=settings_files(self.settings, self.schedules or []),
        )

    def _seed(self) -> "Seed | None":
        from roost_edge.enrolment.seed import Seed, read_seed

        ways = [self.seed is not None, self.token_file is not None, self.authority is not None]
        if sum(ways) > 1:
            raise Misuse("the token is to come from several places", "Give one of --seed, --token-file, --authority.")
        if self.seed is not None:
            return read_seed(self.seed if self.seed.is_dir() else self.seed.parent)
        if not any(ways):
            if self.desk or self.ca or self.ca_sha256:
                raise Misuse("there is no token to go with the desk", "Give --token-file or --authority.")
            return None
        if not self.desk:
            raise Misuse("nobody said where the cards enrol", "Give --desk https://HOST:PORT (`roost pki serve`).")
        ca = self.ca.read_text() if self.ca else ""
        if self.authority is not None:
            with self.open_authority() as authority:
                ca = ca or authority.trust(datetime.now(UTC))
        token = _secret(self.token_file) if self.token_file else ""
        return Seed(url=self.desk, token=token, ca_sha256=self.ca_sha256, ca=ca, made=datetime.now(UTC))

    def open_authority(self) -> "Authority":
        """The authority that gives tokens."""
        from roost_provisioning.pki.authority import Authority

        assert self.authority is not None  # noqa: S101  # only asked for where there is one; for mypy
        return Authority(self.authority)

    def token(self, authority: "Authority", name: str) -> str:
        """A token for one card, good once."""
        import secrets

        from roost_provisioning.pki.tokens import ENTROPY

        valid = timedelta(days=self.valid_days)
        return authority.new_token(datetime.now(UTC), secrets.token_bytes(ENTROPY), name=name, valid=valid)

    def _login(self) -> "Login | None":
        from roost_provisioning.image.card_identity import Login
        from roost_provisioning.image.card_passwords import password_hash

        if not self.user:
            if self.ssh_keys or self.password_file:
                raise Misuse("nobody said who may log in", "Give --user NAME.")
            return None
        keys = [line.strip() for path in self.ssh_keys or [] for line in path.read_text().splitlines() if line.strip()]
        password = password_hash(_secret(self.password_file)) if self.password_file else ""
        return Login(user=self.user, keys=tuple(key for key in keys if not key.startswith("#")), password=password)

    def _wifi(self) -> "Wifi | None":
        from roost_provisioning.image.card_identity import Wifi
        from roost_provisioning.image.card_passwords import wifi_key

        if not self.wifi:
            return None
        key = wifi_key(self.wifi, _secret(self.wifi_password_file)) if self.wifi_password_file else ""
        return Wifi(ssid=self.wifi, key=key, country=self.wifi_country, hidden=self.wifi_hidden)


def _secret(path: Path) -> str:
    """The one line of a file. A secret on the command line would be seen by everybody on this machine."""
    text = typer.get_text_stream("stdin").readline() if str(path) == "-" else path.read_text()
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0]:
        raise Misuse(f"{path} has {len(lines)} lines", "Put the secret alone into the file, on one line.")
    return lines[0]
