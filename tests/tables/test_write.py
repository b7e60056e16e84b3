import html.parser
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from shapelens.artefacts.files import sha256
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.errors import UserError
from shapelens.instruments.registry import TABLES
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.stats.tidy import read_tidy
from shapelens.tables.footnotes import read_footnotes
from shapelens.tables.formats import PAGE_ROWS, escape_latex, to_html, to_latex, to_markdown
from shapelens.tables.layout import select
from shapelens.tables.wide import Cell, Stack, WideTable
from shapelens.tables.write import write_table

from ..tidy_data import REFERENCE, accuracy, grid, means, per_image, undefine

FOOTNOTES = read_footnotes(REFERENCE / "footnotes.csv")
FORMATS = ("csv", "md", "tex", "html")


def write(folder, table, frame, models=None):
    paths = {suffix: folder / f"{table}.{suffix}" for suffix in FORMATS}
    write_table(TABLES[table], frame, models or grid(), paths.values(), display=Display(), footnotes=FOOTNOTES)
    return {suffix: path.read_text(encoding="utf-8") for suffix, path in paths.items()}


@pytest.mark.parametrize("table", ["table1", "table2", "table3", "saturation", "patch_shuffle"])
def test_every_format_has_every_number(tmp_path, table):
    frame = accuracy()
    texts = write(tmp_path, table, frame)
    chosen = select(TABLES[table], frame, grid())
    for row in chosen[chosen["seed"] == "mean"].itertuples():
        number, interval = f"{100 * row.value:.1f}", f"{100 * row.low:.1f}, {100 * row.high:.1f}"
        for suffix in ("md", "tex", "html"):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", texts[suffix]), (suffix, row)
            assert interval in texts[suffix], (suffix, row)
        # Planted fault: shares instead of per cent.
        assert f"| {row.value:.1f} [" not in texts["md"]
    assert f"{chosen['value'].iloc[0]:.6f}" in texts["csv"]


def test_same_input_same_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "saturation", accuracy())
    for suffix in FORMATS:
        name = f"saturation.{suffix}"
        assert sha256(tmp_path / "a" / name) == sha256(tmp_path / "b" / name)
        assert b"\r" not in (tmp_path / "a" / name).read_bytes()


def test_csv_comes_back_as_it_was(tmp_path):
    frame = undefine(accuracy(), "standard", "saturation-8")
    text = write(tmp_path, "saturation", frame)["csv"]
    back = read_tidy(tmp_path / "saturation.csv")
    expected = select(TABLES["saturation"], frame, grid())
    assert list(back.columns) == [
        "dataset",
        "model",
        "seed",
        "testset",
        "metric",
        "value",
        "low",
        "high",
        "n",
        "published",
    ]
    pd.testing.assert_frame_equal(back[["model", "seed", "testset"]], expected[["model", "seed", "testset"]])
    for name in ("value", "low", "high", "n", "published"):
        assert np.allclose(back[name], expected[name].astype(float), atol=5e-7, equal_nan=True)
    line = next(row for row in text.splitlines() if "standard,mean,saturation-8" in row)
    assert line.endswith("accuracy_on_correct,,,,6000,0.653700")
    assert to_csv(back) == text
    assert "-0.0" not in to_csv(pd.DataFrame({"value": [-1e-9]}))


def test_a_single_model_without_seeds_or_published_numbers(tmp_path):
    frame = accuracy(published=False)
    frame = frame[frame["model"] == "standard"].assign(model="my_vit")
    texts = write(tmp_path, "table1", frame, [ModelInfo(name="my_vit", family="finished")])
    assert r"my\_vit &" in texts["tex"] and "my\\_vit" in texts["md"] and ">my_vit<" in texts["html"]
    assert "published" not in texts["md"] and "seed" not in texts["md"]


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match="not as 'xlsx'"):
        write_table(TABLES["table1"], accuracy(), grid(), [tmp_path / "table1.xlsx"], display=Display())


def test_an_instruments_means_are_written(tmp_path):
    texts = write(tmp_path, "saliency", means(per_image()))
    assert texts["csv"].startswith("dataset,model,seed,method,testset,metric,value,low,high,n,published\n")
    assert texts["md"].count("SmoothGrad") == 22
    assert "nan" not in "".join(texts.values())


def test_latex_escapes_what_would_break_a_table():
    assert escape_latex(r"50 % & a_b #1 {x} ~ ^ $ \n") == (
        r"50 \% \& a\_b \#1 \{x\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{}n"
    )
    assert escape_latex("[a] PGD-ℓ∞, ℓ2 ε −1") == r"{[}a{]} PGD-$\ell_\infty$, $\ell_2$ $\epsilon$ $-$1"
    table = WideTable(
        "A_B: 5 %", ("Model", "x"), (("[m_1]", Cell(1.0, 0.5, 1.5, marks="a")),), footnotes=(("a", "b_c"),)
    )
    text = to_latex(table, "patch_shuffle")
    assert "\\label{tab:patch-shuffle}" in text
    # Planted fault: a bracket right after a line break would be read as its argument.
    assert not re.search(r"\\\\\s*[\[*]", text)
    assert not re.search(r"(?<!\\)[_%#]", text)
    assert text.count("{") == text.count("}")
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1


def test_latex_rows_have_as_many_cells_as_columns(tmp_path):
    text = write(tmp_path, "saturation", accuracy("cifar10"))["tex"]
    body = text.split("\\midrule")[1].split("\\bottomrule")[0]
    rows = [line for line in body.splitlines() if " & " in line]
    assert len(rows) == 22 and {line.count(" & ") for line in rows} == {8}


def test_markdown_rows_align_and_escape():
    table = WideTable("T", ("Model", "x|y"), (("a|b_c", Cell(1.0)), ("d", Cell(float("nan")))))
    lines = [line for line in to_markdown(table).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert lines[2].startswith("| a\\|b\\_c |")


class Nesting(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta",):
            self.open.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_whole_and_fetches_nothing(tmp_path):
    text = write(tmp_path, "table1", accuracy("cifar10"))["html"]
    parser = Nesting()
    parser.feed(text)
    assert parser.open == [] and parser.links == [] and "url(" not in text and "@import" not in text
    assert text.count("<tr") == 12
    wrapped = WideTable("T", ("Claim", "Text"), (("1a", Stack("a_b", "<c>")), ("1b", Stack("d"))), 2, wraps=True)
    assert '<table class="shapelens wraps">' in to_html(wrapped) and '<table class="shapelens">' in text
    assert '<td class="text">a_b<div class="beneath">&lt;c&gt;</div></td>' in to_html(wrapped)
    assert '<td class="text">d</td>' in to_html(wrapped)
    assert "a\\_b<br>&lt;c&gt;" in to_markdown(wrapped) and "a\\_b: $<$c$>$" in to_latex(wrapped, "x")
    escaped = to_html(WideTable("<b>", ("Model",), (("<script>",),)))
    assert "<script>" not in escaped and "&lt;script&gt;" in escaped


@pytest.mark.parametrize(("group", "sizes"), [(12, [48, 24]), (20, [40, 32]), (100, [72])])
def test_a_latex_table_longer_than_a_page_is_cut_between_groups(group, sizes):
    rows = tuple((f"row{number:02}", Cell(number, digits=0)) for number in range(72))
    table = WideTable("Long", ("Row", "Number"), rows, notes=("A note.",), groups=tuple(range(group, 72, group)))
    text = to_latex(table, "long")
    parts = text.split(r"\begin{table}")[1:]
    assert [len(re.findall(r"^row", part, re.MULTILINE)) for part in parts] == sizes
    assert re.findall(r"^row\d\d", text, re.MULTILINE) == [row[0] for row in rows]
    assert text.count(r"\label") == 1 and text.count("A note.") == 1 and text.index("A note.") > text.index("row71")
    assert text.count("(continued)") == text.count(r"\addtocounter{table}{-1}") == len(sizes) - 1
    assert group > PAGE_ROWS or max(sizes) <= PAGE_ROWS


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="SKIPPED: no pdflatex, so no table is compiled")
def test_latex_compiles_and_fits_its_pages(tmp_path):
    tables = ["table1", "table2", "table3", "saturation", "patch_shuffle"]
    frames = dict.fromkeys(tables, accuracy()) | {
        "saliency": means(per_image(testsets=("clean", "saturation-1024", "stylised")))
    }
    texts = [write(tmp_path, table, frame)["tex"] for table, frame in frames.items()]
    head = r"\documentclass[twocolumn]{article}\usepackage{booktabs}\usepackage[margin=2cm]{geometry}\begin{document}"
    (tmp_path / "all.tex").write_text("\n".join([head, *texts, r"\end{document}"]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall("Float too large|Overfull", (tmp_path / "all.log").read_text())
