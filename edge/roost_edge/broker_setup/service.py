"""The distribution's mosquitto.service, made to run our configuration and nothing else. Pure.

Debian's own mosquitto.conf cannot be added to: it sets the place of saved sessions (which we want on the data
partition) and Mosquitto refuses a second one; and whatever else lies in its conf.d would be a listener of its own.
"""

from typing import Final

DROP_IN: Final = "/etc/systemd/system/mosquitto.service.d/30-roost-broker.conf"
SAVED: Final = "/var/lib/mosquitto"
"""Where the service sees the folder of saved sessions."""
IDENTITY: Final = "/run/roost-identity"
"""Where the service sees the device's identity, whose parent folder it may not enter."""


def drop_in(configuration: str, saved: str, identity: str) -> str:
    """The text. `saved` and `identity` are folders on the device; `identity` is empty without the outside listener."""
    door = ""
    if identity:
        door = f"""\
# The certificate and its key, for the listener outside.
SupplementaryGroups=roost-identity
BindReadOnlyPaths={identity}:{IDENTITY}
"""
    return f"""\
# Written by `roost broker setup`; changes are overwritten.
[Unit]
RequiresMountsFor={saved}

[Service]
# Our configuration and no other; what Debian's would prepare is for its own.
ExecStartPre=
ExecStart=
ExecStart=/usr/sbin/mosquitto -c {configuration}
User=mosquitto
Group=mosquitto
UMask=0077
# Saved sessions lie on the data partition, whose folders are closed to Mosquitto.
BindPaths={saved}:{SAVED}
{door}\
ProtectSystem=strict
ReadWritePaths={SAVED}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
"""
