"""The report in a real browser: no text of the user's runs in it, wherever a reader clicks."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from shapelens.claims.verdicts import Claim
from shapelens.tables.claims import claims_table
from shapelens.tables.formats import to_html

from ..hostile import EVIL, code_in
from ..planning.test_text import FILE, FOLDERS, LABELS, PLACES, record, with_text
from .conftest import copy_workflow

SHOWN = (("Display", "labels"), ("Expectation", "why"), ("StyleFolder", "path"), ("ImageFolder", "path"))
SHOWN += (("OwnSet", "path"), ("OwnConflicts", "labels"), ("Finished", "prefix"), ("Finished", "weights"))
# What a click on each result shows: its caption as HTML, the rest as text; a handler of an image would run here.
CLICKS = """<script>
for (const one of Object.values(results)) {
  document.body.insertAdjacentHTML("beforeend", one.caption);
  document.body.append(one.job_properties.params, one.job_properties.wildcards, JSON.stringify(one.labels));
}
document.body.insertAdjacentHTML("beforeend", workflow_desc);
document.body.insertAdjacentHTML("beforeend", "<p id=clicked>clicked</p>");
</script>"""


def browse(path: Path) -> tuple[str, str]:
    """Return a page's title and text after its scripts have run; skips where there is no browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("NO BROWSER: what runs in the report was not tried (apt-get install chromium)")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}"]
    command += ["--virtual-time-budget=5000", "--dump-dom", path.as_uri()]
    page = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    title = re.search(r"<title>(.*?)</title>", page)
    assert title, "the browser showed nothing"
    return title[1], page


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of empty files, as the workflow makes it, of a study with markup in everything that it names."""
    folder = copy_workflow(tmp_path_factory.mktemp("browser"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.path)
        for name in (*FOLDERS, EVIL):
            for label in ("disc", "star"):
                Path(name, label).mkdir(parents=True, exist_ok=True)
                for number in range(12):
                    Path(name, label, f"{number}.png").write_bytes(b"1")
        for name in ("w.pth", FILE, LABELS):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(b"1")
        Path(LABELS).write_text("file,shape,texture\ndisc/0.png,disc,star\n")
        study = with_text([change for place in SHOWN for change in PLACES[place]])
        Path("hostile.yaml").write_text(yaml.safe_dump(study))
        files = folder.snakemake("--summary", config="hostile.yaml").stdout
        for name in re.findall(r"^results/\S+", files, re.M):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(b"")
        record("images")
        claim = Claim("1a", EVIL, "yes", 1.0, 0.5, 1.5, EVIL, EVIL, (EVIL,), EVIL, {}, expected="yes", why=EVIL)
        Path("results/images/claims/claims.html").write_text(to_html(claims_table([claim])))
        folder.snakemake("results", "--report", "report.html", config="hostile.yaml")
    return folder.path / "report.html"


def test_nothing_runs_in_the_report(report):
    text = report.read_text()
    results = json.loads(re.search(r'<script id="results">\s*var results = (.*);\n', text)[1])
    assert len(results) > 20
    assert {path: one["caption"] for path, one in results.items() if code_in(one["caption"])} == {}
    page = report.with_name("clicked.html")
    page.write_text(text.replace("</body>", f"{CLICKS}</body>"))
    title, shown = browse(page)
    assert title == "Snakemake Report" and 'id="clicked"' in shown
    assert browse(report.parent / "results/images/claims/claims.html")[0] == "Claims, expected and found"


def test_the_browser_runs_what_is_not_escaped(report):
    """The planted fault: the same report without JSON's escapes."""
    page = report.with_name("planted.html")
    page.write_text(report.read_text().replace(r"\\u003c", "<").replace(r"\\u003e", ">"))
    assert browse(page)[0] == "sprung"
