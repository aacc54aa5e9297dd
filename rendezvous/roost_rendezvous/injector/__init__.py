"""The state injector: external state is added to each request once, between `raw` and `input`. See `role`."""

from roost_rendezvous.injector.role import COMPONENT, StateInjector

__all__ = ["COMPONENT", "StateInjector"]
