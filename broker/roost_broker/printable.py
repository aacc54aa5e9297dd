"""Text from a wire made fit for a terminal, which would obey control characters in it. Pure."""


def printable(text: str) -> str:
    """The text with everything that is not printable shown as U+FFFD."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which stay lines."""
    return "\n".join(printable(line) for line in text.split("\n"))
