"""What must have been done once, because of where a roll-out stands: its newest marker, its moves of bundles. Pure.

The controller orders each when it happens. Whoever goes on after a kill orders all of them again; the shell knows which
are done (`conducting`), so that each is done once.
"""

from roost_models.rollout.actions import Mark, Move
from roost_models.rollout.progress import Order, Progress


def owed(progress: Progress) -> tuple[Mark | Move, ...]:
    """All of it, in the order in which it happened."""
    found: list[Mark | Move] = []
    if progress.told is not None:
        found.append(mark(progress))
    if progress.served_from_step is not None:
        found.append(began_to_serve(progress.order))
    if progress.state == "complete" and progress.order.previous is not None:
        found.append(replaced(progress.order))
    if progress.state == "aborted":
        found.append(over(progress))
    return tuple(found)


def mark(progress: Progress) -> Mark:
    """The newest marker; `told` must be set."""
    if progress.told is None:
        raise ValueError("nothing was told yet")
    told, step = progress.told, progress.order.plan.steps[progress.step]
    return Mark(told.kind, told.text, progress.step, step.shadow, step.serving, told.number)


def began_to_serve(order: Order) -> Move:
    """The first step that serves has begun."""
    return Move(order.bundle, "production", "its first devices serve", "serves")


def replaced(order: Order) -> Move:
    """It is complete; `order.previous` must be set."""
    if order.previous is None:
        raise ValueError("there was no bundle before it")
    return Move(order.previous, "post-production", f"{order.bundle.version} took its place", "replaced")


def over(progress: Progress) -> Move:
    """It was halted or aborted; a bundle that never served stays where it is."""
    served = progress.served_from_step is not None
    return Move(progress.order.bundle, "post-production" if served else None, progress.reason[:1000], "over")
