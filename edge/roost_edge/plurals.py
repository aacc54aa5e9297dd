"""A number and what it counts, as a person would say it. Pure."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 role`, `2 roles`; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
