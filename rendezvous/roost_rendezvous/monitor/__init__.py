"""The monitor: hears everything that passes on a device, keeps traces, and says what is strange."""

from roost_rendezvous.monitor.role import Monitor

__all__ = ["Monitor"]
