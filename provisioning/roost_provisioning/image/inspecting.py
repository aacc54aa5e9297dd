"""Looks into an image, without mounting it: what it is, what would start, and what must not be in it."""

import re
import tomllib
from collections.abc import Iterable

import msgspec

from roost_broker.errors import RoostError
from roost_edge.enrolment.seed import SEED
from roost_provisioning.boot_test.boot_files import BOARDS, boot_files
from roost_provisioning.image.card_reading import Card
from roost_provisioning.image.ext4 import Entry, Ext4
from roost_provisioning.image.inspecting_secrets import LOOKED_AT, MAX_LOOK, NOT_ENTERED, Finding, of_boot_file, of_file
from roost_provisioning.image.partition_table import UnreadableImage

SEED_FOLDER = "roost"
DATA_LABEL = "ROOSTDATA"
DATA_FOLDER = "/var/lib/roost"
_BATCH = 400
_DIST_INFO = re.compile(r"roost-([0-9][^-]*)\.dist-info$")
_LOADERS = {"ld-linux-aarch64.so.1": "arm64", "ld-linux-armhf.so.3": "armhf", "ld-linux-x86-64.so.2": "amd64"}
_UNITS = re.compile(r"(roost[-@.].*|mosquitto\.service|ssh\.service|cloud-init.*)$")


class PartitionFacts(msgspec.Struct, frozen=True):
    """A partition. `start`, `size`, `used` in bytes; `used` is 0 where nobody can say."""

    number: int
    start: int
    size: int
    kind: str
    file_system: str
    label: str
    uuid: str
    used: int


class BoardFacts(msgspec.Struct, frozen=True):
    """What one board would load by config.txt, and which of it is missing."""

    board: str
    kernel: str
    initramfs: str
    device_tree: str
    missing: tuple[str, ...]


class SystemFacts(msgspec.Struct, frozen=True):
    """The operating system. `first_boot`: `cloud-init`, `firstrun` (Raspberry Pi OS without it) or empty."""

    name: str
    release: str
    architecture: str
    kernels: tuple[str, ...]
    first_boot: str
    issue: str


class RoostFacts(msgspec.Struct, frozen=True):
    """The installed Roost. `node` is the name in its settings, `python` such as `3.11`; both may be empty."""

    version: str
    python: str
    node: str
    settings: tuple[str, ...]
    bundles: tuple[str, ...]


class SeedFacts(msgspec.Struct, frozen=True):
    """What the card brings to its first boot. The token itself is not shown."""

    url: str
    name: str
    token: bool
    files: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """All that was found."""

    size: int
    scheme: str
    disk: str
    partitions: tuple[PartitionFacts, ...]
    system: SystemFacts | None
    boards: tuple[BoardFacts, ...]
    cmdline: str
    units: tuple[str, ...]
    roost: RoostFacts | None
    seed: SeedFacts | None
    findings: tuple[Finding, ...]


def inspect_card(card: Card) -> Report:
    """Look at everything. Raises `UnreadableImage` where the image is at odds with itself."""
    root = card.ext() if card.root else None
    findings: list[Finding] = []
    if root:
        findings += _secrets(root, LOOKED_AT, prefix="")
    for part in card.parts:
        if part.holds.kind == "ext" and part is not card.root:
            own = Ext4(card.image, part.partition)
            findings += _secrets(own, ("/",), prefix=DATA_FOLDER if part.holds.label == DATA_LABEL else "")
    boards: tuple[BoardFacts, ...] = ()
    cmdline, seed = "", None
    if card.boot:
        boards, said = _boards(card)
        findings += said + _boot_secrets(card)
        cmdline, seed = card.fat().text("cmdline.txt", MAX_LOOK).strip(), _seed(card)
    return Report(
        size=card.size,
        scheme=card.table.scheme,
        disk=card.table.disk,
        partitions=tuple(
            PartitionFacts(
                part.partition.number,
                part.partition.start,
                part.partition.size,
                part.partition.kind,
                {"fat": "vfat", "ext": "ext4"}.get(part.holds.kind, ""),
                part.holds.label or part.partition.label,
                part.holds.uuid,
                part.holds.used,
            )
            for part in card.parts
        ),
        system=system_of(card) if root else None,
        boards=boards,
        cmdline=cmdline,
        units=_units(root) if root else (),
        roost=_roost(root) if root else None,
        seed=seed,
        findings=tuple(findings),
    )


def system_of(card: Card) -> SystemFacts:
    """Which system is in the image's root. Raises `UnreadableImage` where there is none."""
    root = card.ext()
    text = root.text("/usr/lib/os-release", MAX_LOOK) or root.text("/etc/os-release", MAX_LOOK)
    said = dict(line.partition("=")[::2] for line in text.split("\n") if "=" in line)
    loaders = {
        name for folder in ("/usr/lib", "/lib") for entry in root.folder(folder) if (name := entry.name) in _LOADERS
    }
    issue = root.text("/etc/rpi-issue", MAX_LOOK).strip().split("\n")[0]
    if root.entry("/usr/bin/cloud-init"):
        first_boot = "cloud-init"
    else:
        first_boot = "firstrun" if issue or root.entry("/usr/lib/raspberrypi-sys-mods") else ""
    return SystemFacts(
        name=said.get("PRETTY_NAME", "").strip('"'),
        release=said.get("VERSION_CODENAME", "").strip('"'),
        architecture=" ".join(sorted(_LOADERS[name] for name in loaders)),
        kernels=tuple(sorted(entry.name for entry in root.folder("/usr/lib/modules"))),
        first_boot=first_boot,
        issue=issue,
    )


def _boards(card: Card) -> tuple[tuple[BoardFacts, ...], list[Finding]]:
    fat = card.fat()
    config, names = fat.text("config.txt", MAX_LOOK), fat.names()
    try:
        files = [boot_files(config, board) for board in BOARDS]
    except RoostError as error:
        return (), [Finding("note", error.problem, "/boot/firmware/config.txt", error.remedy)]
    facts = tuple(
        BoardFacts(one.board, one.kernel, one.initramfs, one.device_tree, one.missing(names)) for one in files
    )
    if all(board.missing for board in facts):
        what = f"no board could start: {', '.join(facts[0].missing)} missing"
        return facts, [Finding("must-not", what, "/boot/firmware", "The image was not finished: build it again.")]
    return facts, []


def _units(root: Ext4) -> tuple[str, ...]:
    """Units that are enabled, of those this look is about."""
    folders = [
        entry.name for entry in root.folder("/etc/systemd/system") if entry.name.endswith((".wants", ".requires"))
    ]
    names = {entry.name for folder in folders for entry in root.folder(f"/etc/systemd/system/{folder}")}
    return tuple(sorted(name for name in names if _UNITS.match(name)))


def _roost(root: Ext4) -> RoostFacts | None:
    pythons = [entry.name for entry in root.folder("/opt/roost/venv/lib") if entry.name.startswith("python")]
    for python in pythons:
        for entry in root.folder(f"/opt/roost/venv/lib/{python}/site-packages"):
            if match := _DIST_INFO.match(entry.name):
                return RoostFacts(match[1], python.removeprefix("python"), *_settings(root))
    return None


def _settings(root: Ext4) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    files = [f"/etc/roost/{entry.name}" for entry in root.folder("/etc/roost") if entry.name.endswith(".toml")]
    files += [f"/etc/roost/schedules/{entry.name}" for entry in root.folder("/etc/roost/schedules")]
    bundles = tuple(sorted(entry.name for entry in root.folder("/opt/roost/bundles")))
    try:
        node = tomllib.loads(root.text("/etc/roost/roost.toml", MAX_LOOK)).get("node")
    except (tomllib.TOMLDecodeError, UnreadableImage):
        node = None
    name = node.get("name") if isinstance(node, dict) else None
    return name if isinstance(name, str) else "", tuple(sorted(files)), bundles


def _seed(card: Card) -> SeedFacts | None:
    fat = card.fat()
    files = tuple(name for name in fat.names() if name.lower().startswith(f"{SEED_FOLDER}/") and not name.endswith("/"))
    try:
        document = tomllib.loads(fat.text(f"{SEED_FOLDER}/{SEED}", MAX_LOOK))
    except tomllib.TOMLDecodeError:
        document = {}
    section = document.get("enrol")
    if not isinstance(section, dict):
        return SeedFacts("", "", token=False, files=files) if files else None
    return SeedFacts(str(section.get("url", "")), str(section.get("name", "")), bool(section.get("token")), files)


def _secrets(file_system: Ext4, folders: Iterable[str], *, prefix: str) -> list[Finding]:
    """Findings in files that are small enough to be a secret, read some hundred at a time."""
    wanted: list[tuple[str, Entry]] = []
    for folder in folders:
        for path, entry in file_system.walk(folder, skip=NOT_ENTERED):
            if entry.is_file and 0 < entry.size <= MAX_LOOK:
                wanted.append((prefix + path, entry))
    found: list[Finding] = []
    for at in range(0, len(wanted), _BATCH):
        batch = wanted[at : at + _BATCH]
        for (path, entry), content in zip(batch, file_system.contents([one for _, one in batch]), strict=True):
            found += of_file(path, entry.mode, content)
    return found


def _boot_secrets(card: Card) -> list[Finding]:
    fat = card.fat()
    found: list[Finding] = []
    for name in fat.names():
        if name.endswith(("/", ".dtb", ".dtbo", ".elf", ".dat", ".bin", ".whl", ".deb")) or "overlays/" in name:
            continue
        try:
            content = fat.read(name, MAX_LOOK)
        except UnreadableImage:  # larger than any secret: kernels
            continue
        found += of_boot_file(name, content or b"")
    return found
