"""Markdown, LaTeX and HTML of a wide table; each writer is a pure function to text."""

import re
from html import escape
from itertools import pairwise

from shapelens.names.text import markdown, one_line
from shapelens.tables.wide import Cell, Entry, Stack, WideTable

LATEX_SPECIALS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # At the start of a row, a bracket or star would be read as an argument of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "<": "$<$",
    ">": "$>$",
    "ℓ": r"$\ell$",
    "∞": r"$\infty$",
    "ε": r"$\epsilon$",
    "τ": r"$\tau$",
    "−": r"$-$",
    "–": r"--",
    "…": r"\ldots{}",
}
STACKED_FROM = 6
"""Number of numeric columns from which LaTeX puts the interval beneath its number, to fit a page."""
PAGE_ROWS = 48
"""Number of rows that LaTeX gets onto a page; a longer table goes on as another, with the same number."""

STYLE = """
table.shapelens { border-collapse: collapse; font: 14px/1.35 system-ui, sans-serif; color: #222; }
table.shapelens caption { text-align: left; font-weight: 600; padding: 0 0 .5em; }
table.shapelens th, table.shapelens td { padding: .2em .8em; text-align: right; white-space: nowrap; }
table.shapelens th { border-bottom: 1px solid #444; font-weight: 600; vertical-align: bottom; }
table.shapelens thead th { border-top: 2px solid #444; }
table.shapelens .text { text-align: left; font-weight: 400; border-bottom: 0; }
table.shapelens thead .text { font-weight: 600; border-bottom: 1px solid #444; }
table.shapelens tbody tr:last-child > * { border-bottom: 2px solid #444; }
table.shapelens tr.group > * { border-top: 1px solid #ccc; }
table.wraps { width: 100%; max-width: 72em; }
table.wraps th, table.wraps td { vertical-align: top; padding: .45em .6em; }
table.wraps tbody .text { border-bottom: 1px solid #ddd; }
table.wraps td.text, table.wraps thead .text { white-space: normal; overflow-wrap: break-word; }
table.wraps .beneath { color: #555; font-size: 85%; padding-top: .15em; }
table.shapelens .interval { color: #666; font-size: 85%; }
div.shapelens p { font: 12px/1.4 system-ui, sans-serif; color: #444; margin: .5em 0 0; max-width: 60em; }
div.shapelens { overflow-x: auto; }
""".strip()


def to_markdown(table: WideTable) -> str:
    """Return a GitHub-flavoured Markdown table with title, notes and footnotes; columns are padded to align."""
    body = [[_markdown(entry) for entry in row] for row in table.rows]
    header = [markdown(text) for text in table.header]
    widths = [max(3, *(len(row[c]) for row in [header, *body])) for c in range(len(header))]
    rule = [
        "-" * width if column < table.text_columns else "-" * (width - 1) + ":" for column, width in enumerate(widths)
    ]

    def line(cells: list[str]) -> str:
        padded = (
            cell.ljust(width) if column < table.text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    parts = [f"**{markdown(table.title)}**", "\n".join([line(header), line(rule), *map(line, body)])]
    parts += [markdown(note) for note in table.notes]
    if table.footnotes:
        parts.append("\n".join(f"- <sup>{mark}</sup> {markdown(text)}" for mark, text in table.footnotes))
    return "\n\n".join(parts) + "\n"


def _markdown(entry: Entry) -> str:
    if isinstance(entry, str):
        return markdown(entry)
    if isinstance(entry, Stack):
        return "<br>".join(markdown(text) for text in (entry.text, entry.beneath) if text)
    mark = f"<sup>{entry.marks}</sup>" if entry.marks else ""
    return " ".join(filter(None, [entry.number + mark, entry.interval]))


def to_latex(table: WideTable, label: str) -> str:
    r"""Return ``table`` environments for the package booktabs (``\usepackage{booktabs}``), everything escaped.

    A table that is longer than a page is cut where a group of rows begins, each part with the caption and the number.
    """
    parts = _pages(table)
    return "\n".join(_latex_part(table, label, rows, last=rows is parts[-1]) for rows in parts)


def _pages(table: WideTable) -> list[range]:
    """Cut the rows into ranges that fit a page, at the beginnings of groups."""
    parts: list[range] = []
    begin = 0
    for cut, following in pairwise([*table.groups, len(table.rows)]):
        if following - begin > PAGE_ROWS:
            parts.append(range(begin, cut))
            begin = cut
    return [*parts, range(begin, len(table.rows))]


def _latex_part(table: WideTable, label: str, rows: range, *, last: bool) -> str:
    numbers = len(table.header) - table.text_columns
    stacked = numbers >= STACKED_FROM
    star = "*" if numbers > 2 else ""
    caption = escape_latex(table.title)
    begins = [rf"\caption{{{caption}}}", rf"\label{{tab:{label.replace('_', '-')}}}"]
    goes_on = [r"\addtocounter{table}{-1}", rf"\caption{{{caption} (continued)}}"]
    lines = [
        rf"\begin{{table{star}}}",
        r"\centering",
        *(goes_on if rows.start else begins),
        r"\footnotesize" if not stacked else r"\scriptsize",
        r"\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{{'l' * table.text_columns}{'r' * numbers}}}",
        r"\toprule",
        " & ".join(escape_latex(text) for text in table.header) + r" \\",
        r"\midrule",
    ]
    for index in rows:
        if index in table.groups and index != rows.start:
            lines.append(r"\addlinespace")
        lines.append(" & ".join(_latex(entry, stacked=stacked) for entry in table.rows[index]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    small = [escape_latex(note) for note in table.notes]
    small += [rf"\textsuperscript{{{mark}}}~{escape_latex(text)}" for mark, text in table.footnotes]
    if small and last:
        lines += [r"\par\medskip\raggedright\scriptsize", " \\\\\n".join(small)]
    return "\n".join([*lines, rf"\end{{table{star}}}"]) + "\n"


def escape_latex(text: str) -> str:
    """Return text with LaTeX's special characters and the project's symbols written out."""
    parts = re.split("(ℓ∞|ℓ2)", one_line(text))
    norms = {"ℓ∞": r"$\ell_\infty$", "ℓ2": r"$\ell_2$"}
    return "".join(norms.get(p) or "".join(LATEX_SPECIALS.get(c, c) for c in p) for p in parts)


def _latex(entry: Entry, *, stacked: bool) -> str:
    if isinstance(entry, str):
        return escape_latex(entry)
    if isinstance(entry, Stack):
        return escape_latex(": ".join(filter(None, (entry.text, entry.beneath))))
    number = escape_latex(entry.number) + (rf"\textsuperscript{{{entry.marks}}}" if entry.marks else "")
    if not entry.interval:
        return number
    interval = f"{{\\tiny {escape_latex(entry.interval)}}}"
    return rf"\shortstack[r]{{{number}\\{interval}}}" if stacked else f"{number} {interval}"


def escape_html(text: str) -> str:
    """Return text as HTML shows it, in one line."""
    return escape(one_line(text))


def to_html(table: WideTable) -> str:
    """Return a whole HTML page with the table and its own style, nothing fetched from elsewhere."""
    header = "".join(
        f'<th scope="col"{_text_class(column, table)}>{escape_html(text)}</th>'
        for column, text in enumerate(table.header)
    )
    rows = []
    for index, row in enumerate(table.rows):
        cells = []
        for column, entry in enumerate(row):
            tag = 'th scope="row"' if column == 0 else "td"
            cells.append(f"<{tag}{_text_class(column, table)}>{_html(entry)}</{tag[:2]}>")
        group = ' class="group"' if index in table.groups else ""
        rows.append(f"<tr{group}>{''.join(cells)}</tr>")
    notes = [f"<p>{escape_html(note)}</p>" for note in table.notes]
    notes += [f"<p><sup>{mark}</sup> {escape_html(text)}</p>" for mark, text in table.footnotes]
    title = escape_html(table.title)
    wraps = " wraps" if table.wraps else ""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f"<style>\n{STYLE}\n</style></head><body>",
            f'<div class="shapelens"><table class="shapelens{wraps}"><caption>{title}</caption>',
            f"<thead><tr>{header}</tr></thead>",
            "<tbody>",
            *rows,
            "</tbody></table>",
            *notes,
            "</div></body></html>",
            "",
        ]
    )


def _text_class(column: int, table: WideTable) -> str:
    return ' class="text"' if column < table.text_columns else ""


def _html(entry: Entry) -> str:
    if isinstance(entry, Stack):
        beneath = f'<div class="beneath">{escape_html(entry.beneath)}</div>' if entry.beneath else ""
        return escape_html(entry.text) + beneath
    if not isinstance(entry, Cell):
        return escape_html(entry)
    mark = f"<sup>{entry.marks}</sup>" if entry.marks else ""
    interval = f' <span class="interval">{entry.interval}</span>' if entry.interval else ""
    return f"{entry.number}{mark}{interval}"
