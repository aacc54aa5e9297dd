"""What one kind of device gets of its own: settings, schedules, bundles. Checked before the slow stages begin.

The settings name things as the device will see them: `/opt/roost/bundles/NAME` are bundles that go into the image,
and what is relative lies beside the settings file here, and below /etc/roost there. The folder made here looks like
the device's root, so what `roost config check` finds here it would find there.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from roost_broker.errors import Misuse
from roost_edge.settings import check as checking
from roost_edge.settings.check import Finding
from roost_edge.settings.loading import load, read_document
from roost_edge.settings.node_name import IDENTITY

SETTINGS: Final = "etc/roost/roost.toml"
BUNDLES: Final = "opt/roost/bundles"
DATA: Final = "var/lib/roost"
UNNAMED: Final = "unnamed"
DEFAULT_BUNDLES: Final = ("champion", "fast", "rules", "canary")
_DEFAULT: Final = Path(__file__).parent.parent / "data" / "henhouse.toml"
_MAX_FILES: Final = 2_000
"""Most files below one folder that the settings name: more is somebody's home folder, not a bundle."""


def gather(settings: Path | None, bundles: Iterable[Path], henhouse: Path, into: Path) -> list[Finding]:
    """Fill a folder that looks like the device's root; returns warnings. Raises Misuse for settings with errors."""
    for bundle in (*(henhouse / "bundles" / name for name in DEFAULT_BUNDLES), *bundles):
        if not bundle.exists():
            raise Misuse(f"There is no bundle {bundle}.", "Name a bundle's folder or .roost file: --bundle PATH.")
        _copy(bundle, into / BUNDLES / bundle.name)
    _copy(henhouse / "schedule.toml", into / "etc/roost/schedules/henhouse.toml")
    source = settings or _DEFAULT
    document, _ = read_document(source)
    for name in relative_paths(document):
        _copy(source.parent / name, into / "etc/roost" / name)
    _copy(source, into / SETTINGS)
    return _checked(source, into)


def relative_paths(document: object) -> list[str]:
    """Paths in a settings file that are relative to it. Raises Misuse for one that leaves its folder. Pure."""
    found = sorted(
        {name for name in _paths(document) if name and "://" not in name and not name.startswith(("/", "~"))}
    )
    for name in found:
        if ".." in Path(name).parts:
            raise Misuse(
                f"{name!r} in the settings leads out of their folder.",
                "On the device that folder is /etc/roost: put the file into it or below it.",
            )
    return found


def _paths(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    for task in _tables(document.get("tasks")):
        yield str(task.get("schedule", ""))
        for model in _tables(task.get("models")):
            yield str(model.get("bundle", ""))
    for camera in _tables(document.get("cameras")):
        if camera.get("source") in ("video", "folder"):
            yield str(camera.get("path", ""))
    ota = document.get("ota")
    if isinstance(ota, dict):
        yield str(ota.get("root", ""))
        yield str(ota.get("ca_file", ""))


def _tables(section: object) -> Iterator[dict[str, object]]:
    for value in section.values() if isinstance(section, dict) else ():
        if isinstance(value, dict):
            yield value


def as_seen_here(text: str, root: Path) -> str:
    """Settings with the device's folders replaced by those below `root`, and a name for who has none. Pure."""
    for place in (BUNDLES, "etc/roost", DATA):
        text = text.replace(f'"/{place}', f'"{root / place}').replace(f"'/{place}", f"'{root / place}")
    return text.replace(f'"{IDENTITY}"', f'"{UNNAMED}"')


def _checked(source: Path, root: Path) -> list[Finding]:
    text = source.read_text(encoding="utf-8")
    here = root / "etc/roost" / ".check.toml"
    here.write_text(as_seen_here(text, root), encoding="utf-8")
    (root / DATA).mkdir(parents=True)
    try:
        findings = [one for one in checking.check(here) if not _made_on_device(one, root)]
        errors = [one for one in findings if one.level == "error"]
        if errors:
            lines = "\n".join(
                f"{source}:{one.line}: {one.field}: {one.problem.replace(str(root), '')} → {one.remedy}"
                for one in errors
            )
            raise Misuse(
                f"A device cannot run on these settings:\n{lines}", "Mend them; `roost config check` looks too."
            )
        if load(here).node.data != str(root / DATA):
            raise Misuse(f'{source}: data is not "/{DATA}".', "On the device that is a partition of its own.")
    finally:
        here.unlink()
        shutil.rmtree(root / "var")
    return findings


def _made_on_device(finding: Finding, root: Path) -> bool:
    """Passwords and identity, and the disk they are on, are no business of the machine that builds."""
    places = (f"{root / DATA}", f"{root / 'etc/roost/broker'}")
    return any(place in finding.problem for place in places)


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise Misuse(f"The settings name {source}, which does not exist.", "Put it there, or mend the settings.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        count = sum(1 for _, path in zip(range(_MAX_FILES + 1), source.rglob("*"), strict=False))
        if count > _MAX_FILES:
            raise Misuse(f"{source} has more than {_MAX_FILES} files.", "Is it the right folder?")
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
