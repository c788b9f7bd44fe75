"""Pages of documentation: what is generated is up to date, what they name exists."""

import functools
import importlib
import re
import runpy
from pathlib import Path

import pytest

import fastgrad as fg

_DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_of_operations_is_up_to_date():
    page = runpy.run_path(str(_DOCS / "generate_ops.py"))["page"]()
    assert (_DOCS / "ops.md").read_text(encoding="utf-8") == page, "python docs/generate_ops.py"


def _course():
    rows = (_DOCS / "course.md").read_text(encoding="utf-8").splitlines()
    return [row.strip("|").split("|") for row in rows if row.startswith("| ")][1:]


@pytest.mark.parametrize("cells", _course(), ids=lambda cells: cells[0].strip())
def test_the_courses_table_names_what_there_is(cells):
    _, names, example, test = cells
    importlib.import_module("fastgrad.optim.lr_scheduler")
    for name in re.findall("`(.+?)`", names):
        assert functools.reduce(getattr, name.split("."), fg)
    for link in re.findall(r"\((.+?)\)", example + test):
        assert (_DOCS / link).exists()
    assert "test_" in test
