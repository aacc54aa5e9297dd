"""How a registry looks: roles with their keys, bundles, roll-outs, and what somebody must see to."""

from typing import TYPE_CHECKING

from roost_edge.cli import output
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_models.registry.status import RegistryStatus


def print_status(found: "RegistryStatus") -> None:
    """All of it, for people."""
    rows = [["role", "version", "signs", "keys (* here)", "until", ""]]
    for role in found.roles:
        shown = " ".join(f"{keyid[:8]}{'*' if keyid in role.here else ''}" for keyid in role.keys)
        rows.append(
            [role.name, str(role.version), f"{role.threshold}/{len(role.keys)}", shown, role.expires[:10],
             f"{role.days_left:g} days"]
        )  # fmt: skip
    print(output.table(rows))
    said = f"{counted(len(found.bundles), 'bundle')}, {counted(found.files, 'file')}"
    print(f"\n{said}, {found.bytes} bytes in {found.path}")
    if found.bundles:
        print(output.table([[one.task, one.name, one.version, one.digest[:12]] for one in found.bundles], indent="  "))
    for one in found.rollouts:
        print(
            f"roll-out {one.rollout_id} ({one.state}): {one.task}/{one.name} {one.version}, "
            f"shadow {one.shadow:.1%}, serving {one.serving:.1%}"
        )
    for problem in found.problems:
        print(f"! {problem}")
