"""Reading what the pages for the browser hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def page_data(file: Path) -> list[dict[str, Any]]:
    """The layers of a page of attention, in their order."""
    page = file.read_text("utf-8")
    start = page.index('<script id="data" type="application/json">')
    data = page[page.index(">", start) + 1 : page.index("</script>", start)]
    return json.loads(data)  # type: ignore[no-any-return]
