"""Tables, claims and CSV show text of the user's as text: labels, names of classes, reasons."""

import csv
import io
from dataclasses import replace

from markdown_it import MarkdownIt

from shapelens.artefacts.tidy_csv import to_csv
from shapelens.claims.judging import claims_frame, claims_json, claims_markdown
from shapelens.claims.verdicts import Claim
from shapelens.names.text import one_line, visible
from shapelens.tables.claims import claims_table
from shapelens.tables.formats import to_html, to_latex, to_markdown
from shapelens.tables.wide import Cell, Stack, WideTable

from ..hostile import EVIL, Page, code_in, commands_in

TABLE = WideTable(
    title=EVIL,
    header=(EVIL, "b", EVIL),
    rows=((EVIL, Stack(EVIL, EVIL), Cell(1.0, 0.5, 1.5, marks="a")), ("b", EVIL, Cell(2.0))),
    text_columns=2,
    notes=(EVIL,),
    footnotes=(("a", EVIL),),
)
# A dialect that knows everything that GitHub does, and lets HTML through, which GitHub sanitises.
DIALECT = MarkdownIt("gfm-like", {"html": True, "linkify": False})


def plain(table: WideTable) -> WideTable:
    """Return the same table with a harmless letter in place of the text."""
    rows = tuple(
        tuple("x" if one == EVIL else Stack("x", "x") if isinstance(one, Stack) else one for one in row)
        for row in table.rows
    )
    header = tuple("x" if one == EVIL else one for one in table.header)
    return replace(table, title="x", header=header, rows=rows, notes=("x",), footnotes=(("a", "x"),))


def test_html_has_no_element_but_its_own():
    page, harmless = Page(to_html(TABLE)), Page(to_html(plain(TABLE)))
    assert page.tags == harmless.tags and page.attributes == harmless.attributes
    assert page.text.count(one_line(EVIL)) >= 8
    assert code_in(EVIL)


def test_markdown_has_no_element_but_its_own():
    page, harmless = (Page(DIALECT.render(to_markdown(table))) for table in (TABLE, plain(TABLE)))
    assert page.tags == harmless.tags and page.attributes == harmless.attributes
    shown = one_line(EVIL)
    assert page.text.count(shown) >= 8, page.text
    assert code_in(DIALECT.render(one_line(EVIL)))


def test_latex_has_no_command_but_its_own():
    escapes = {"textbackslash", "textasciicircum", "textasciitilde"}
    assert commands_in(to_latex(TABLE, "x")) <= commands_in(to_latex(plain(TABLE), "x")) | escapes
    assert commands_in(EVIL) == {"input", "write"}
    assert to_latex(TABLE, "x").count("\n") == to_latex(plain(TABLE), "x").count("\n")


def test_a_reason_is_text_on_the_page_of_claims():
    claim = Claim("1a", "A claim", "yes", 1.0, 0.5, 1.5, "points", "a view", (), "", {}, expected="yes", why=EVIL)
    harmless = replace(claim, why="x")
    for make in (lambda one: DIALECT.render(claims_markdown([one])), lambda one: to_html(claims_table([one]))):
        page, plain_page = Page(make(claim)), Page(make(harmless))
        assert page.tags == plain_page.tags and page.attributes == plain_page.attributes
    assert one_line(EVIL) in Page(DIALECT.render(claims_markdown([claim]))).text
    assert claims_json([claim])[0]["why"] == EVIL
    assert next(csv.DictReader(io.StringIO(to_csv(claims_frame([claim])))))["why"] == EVIL


def test_what_would_steer_a_terminal_is_shown():
    assert visible("a\x1b[2J\nb\u2028c\u202ed\x85e\u200d☃") == "a\\x1b[2J\\nb\\u2028c\\u202ed\\x85e\u200d☃"
    assert one_line(" a\n\n b\tc ") == "a b c"
