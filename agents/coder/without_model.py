"""Programs for tasks that need no model: arithmetic, and statistics or bars of numbers or of a table in the message.

A small closed language on purpose: a task with a word that is none of its words is left alone, and not half done.
"""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Mapping, Sequence, Set
from itertools import groupby

__all__ = ["program_for"]

_TOKEN = re.compile(r"[^\W\d_]+|(?:(?<![\w.)])[-+])?\d+(?:\.\d+)*|\*\*|//|\.\.+|\S")
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_STATISTICS = {"count": "len", "sum": "fsum", "mean": "fmean", "median": "median", "minimum": "min", "maximum": "max"}
_ALSO = {"total": "sum", "average": "mean"}
_FIGURE = {"bar", "bars", "chart", "draw", "plot"}
_SMALL = re.findall(
    r"\w+",
    "a an and are as by calculate column columns compute csv data figure find following for give how in is it list me "
    "much numbers of please show svg table tell the their them these this values what with",
)
_WRITTEN = str.maketrans({"×": "*", "÷": "/", "−": "-", "^": "**"})
_LONGEST = 500  # letters of an expression
_BARS = """
for number, (name, values) in enumerate(columns.items(), 1):
    top = max(0, *values)
    scale = 200 / (top - min(0, *values) or 1)
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg" width="{80 * len(values) + 8}" height="232" font-size="10">'
    for place, (label, value) in enumerate(zip(labels, values)):
        x, y = 80 * place + 8, 20 + (top - max(value, 0)) * scale
        drawn += f'<rect x="{x}" y="{y:.2f}" width="72" height="{abs(value) * scale:.2f}" fill="skyblue"/>'
        drawn += f'<text x="{x}" y="{y - 4:.2f}">{escape(label)}</text>'
    with open(f"bars-{number}.svg", "w", encoding="utf-8") as file:
        file.write(drawn + "</svg>")
    print(f"bars-{number}.svg: {len(values)} bars of {name}")
"""


def program_for(text: str) -> str | None:
    """A program for the task, or None where it takes a model to understand it."""
    (header, *rows), ask = _parted(text)
    tokens = _TOKEN.findall(ask.translate(_WRITTEN).rstrip("?.:= \n"))
    words = {_ALSO.get(word, word) for word in map(str.casefold, filter(str.isalpha, tokens))}
    if not words <= {*_SMALL, *_STATISTICS, *_FIGURE, *re.findall(r"[^\W\d_]+", " ".join(header).casefold())}:
        return None
    if not words & {*_STATISTICS, *_FIGURE}:
        return None if rows else _arithmetic(tokens)
    numbers = [token for token in tokens if _NUMBER.fullmatch(token)]
    # 1,000 is one number to some and two to others.
    if not {*tokens} <= {*numbers, *filter(str.isalpha, tokens), *",;:.?![]"} or re.search(r"\d,\d{3}(?!\d)", ask):
        return None
    labels, *columns = zip(*rows, strict=True) if rows else (numbers, numbers)
    complete = not numbers if rows else len(numbers) > 1
    if not complete or not all(_NUMBER.fullmatch(cell) for column in columns for cell in column):
        return None
    values = [[float(cell) if "." in cell else int(cell) for cell in column] for column in columns]
    return _program(dict(zip(header[1:] or ["numbers"], values, strict=True)), labels, words)


def _program(columns: Mapping[str, Sequence[float]], labels: Sequence[str], words: Set[str]) -> str:
    imports = "from html import escape\nfrom math import fsum\nfrom statistics import fmean, median\n"
    program = f"{imports}\ncolumns = {columns!r}\n"
    for word in sorted(words & _STATISTICS.keys()):
        told = f"{word} of {{name}} ({{len(values)}} values): {{{_STATISTICS[word]}(values):.15g}}"
        program += f'for name, values in columns.items():\n    print(f"{told}")\n'
    if words & _FIGURE:
        program += f"labels = {[''.join(filter(str.isprintable, label)) for label in labels]!r}{_BARS}"
    return program


def _arithmetic(tokens: Sequence[str]) -> str | None:
    # Signs with words between them may mean anything, as in 3 and 4 * 5.
    expression, *more = [" ".join(signs) for alpha, signs in groupby(tokens, str.isalpha) if not alpha] or [""]
    expression = expression.strip(",: ")
    if more or len(expression) > _LONGEST or not re.fullmatch(r"[0-9.\s+*/()-]+", expression):
        return None
    try:
        kinds = {type(node) for node in ast.walk(ast.parse(expression, mode="eval"))}
    except SyntaxError:
        return None
    return f"print({expression})\n" if ast.BinOp in kinds and ast.Call not in kinds else None


def _parted(text: str) -> tuple[Sequence[Sequence[str]], str]:
    """The rows of the table in a message, the header first, and what it says beside it."""
    lines = [line for line in text.splitlines() if not line.startswith("```")]
    rows = [[cell.strip() for row in csv.reader([line]) for cell in row] for line in lines]
    end = 0
    for width, group in groupby(rows, len):
        table = list(group)
        start, end = end, end + len(table)
        if len(table) > 1 and len({*table[0]}) == width > 1 and not any(map(_NUMBER.fullmatch, table[0])):
            return table, "\n".join([*lines[:start], *lines[end:]])
    return [[]], "\n".join(lines)
