"""Names in the registry: which role signs what, and where it lies. Pure; writer, readers and tests ask here.

```
registry/
  settings.json                 how long signatures last, and who may sign where
  keys/                         private keys that stay on this machine (mode 0600)
  public/                       what a web server serves, or a stick carries
    metadata/                   1.root.json, 3.targets.json, 8.task-henhouse.json, …, timestamp.json
    targets/bundles/<task>/<name>/<version>/<sha256>.bundle.json
    targets/rollouts/<task>/<sha256>.<name>.json
    targets/files/<sha256>      the files of all bundles, each content once
```

A bundle's manifest is what is signed (role `task-<task>`). Its files are not targets of their own: the manifest says
their lengths and digests, so who has the manifest can tell the right file from a wrong one.
"""

from roost_broker.errors import Misuse
from roost_broker.topics import check_name

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
TOP_LEVEL = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
ROLLOUTS = "rollouts"
ROLLOUTS_PATTERN = "rollouts/*/*.json"
_TASK = "task-"


def task_role(task: str) -> str:
    """The role that signs the bundles of a task."""
    return f"{_TASK}{check_name('task', task)}"


def task_of(role: str) -> str | None:
    """The task whose bundles a role signs; None for other roles."""
    return role.removeprefix(_TASK) if role.startswith(_TASK) else None


def task_pattern(task: str) -> str:
    """The targets that the role of a task may sign, as TUF writes patterns: `*` stays within a level."""
    return f"bundles/{check_name('task', task)}/*/*/bundle.json"


def bundle_target(task: str, name: str, version: str) -> str:
    """The target that is a bundle's manifest."""
    check_name("model", name)
    if not version or "/" in version or version.startswith("."):
        raise Misuse(f"{version!r} is not the version of a bundle.", "Give it as the manifest does.")
    return f"bundles/{check_name('task', task)}/{name}/{version}/bundle.json"


def bundle_of(target: str) -> tuple[str, str, str] | None:
    """Task, name and version of a bundle's target; None for another target."""
    parts = target.split("/")
    if len(parts) != 5 or parts[0] != "bundles" or parts[4] != "bundle.json":
        return None
    return parts[1], parts[2], parts[3]


def rollout_target(task: str, name: str) -> str:
    """The target that is a line's roll-out document."""
    return f"rollouts/{check_name('task', task)}/{check_name('model', name)}.json"


def file_path(sha256: str) -> str:
    """Where a file of a bundle lies, below `public`."""
    return f"targets/files/{sha256}"


def target_path(target: str, sha256: str) -> str:
    """Where a target lies, below `public`. Its digest is part of its name, so that no content replaces another."""
    folder, slash, name = target.rpartition("/")
    return f"targets/{folder}{slash}{sha256}.{name}"
