"""Generated documentation is what its generator would write now."""

import runpy
from pathlib import Path

_DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_of_operations_is_up_to_date():
    page = runpy.run_path(str(_DOCS / "generate_ops.py"))["page"]()
    assert (_DOCS / "ops.md").read_text(encoding="utf-8") == page, "python docs/generate_ops.py"
