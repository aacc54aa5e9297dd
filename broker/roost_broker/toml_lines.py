"""On which line of a TOML text a key stands: what `tomllib` does not tell, and what an error message needs.

Only texts that `tomllib` has accepted are scanned, so this knows no errors. A key inside an inline table or an
array has the line of the value it is part of.
"""

import re

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = re.compile(rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=")
_HEADER = re.compile(rf"[ \t]*\[(\[?)[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*\]")
_ONE_PART = re.compile(_PART)
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)


class LineMap:
    """Line numbers (from 1) of the tables and keys of one TOML text."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        self._scan(text)

    def line(self, path: tuple[str, ...]) -> int:
        """Line of the key at `path`, or of the nearest table around it; 1 when there is none."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1

    def _scan(self, text: str) -> None:
        table: tuple[str, ...] = ()
        position, line = 0, 1
        counts: dict[tuple[str, ...], int] = {}
        while position < len(text):
            if header := _HEADER.match(text, position):
                table = _parts(header[2])
                if header[1]:
                    index = counts[table] = counts.get(table, -1) + 1
                    self._remember(table, line)
                    table = (*table, str(index))
                self._remember(table, line)
                end = _end_of_line(text, header.end())
            elif key := _KEY.match(text, position):
                self._remember(table + _parts(key[1]), line)
                end = _end_of_value(text, key.end())
            else:  # blank, or a comment
                end = _end_of_line(text, position)
            line += text.count("\n", position, end)
            position = end

    def _remember(self, path: tuple[str, ...], line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _ONE_PART.findall(dotted))


def _end_of_line(text: str, position: int) -> int:
    newline = text.find("\n", position)
    return len(text) if newline < 0 else newline + 1


def _end_of_value(text: str, position: int) -> int:
    """Position after the line on which the value ends; arrays and ''' strings may take several."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character in "\"'":
            string = _STRING.match(text, position)
            position = string.end() if string else position + 1
            continue
        if character == "#":
            position = _end_of_line(text, position) - 1
            if position + 1 >= len(text) and text[position] != "\n":
                return len(text)
            continue
        depth += (character in "[{") - (character in "]}")
        position += 1
        if character == "\n" and depth <= 0:
            return position
    return position
