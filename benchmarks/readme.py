"""Put the tables of results/*.json into README.md, between its marker lines."""

from __future__ import annotations

import json
import re
from typing import Any

from benchmarks import common

README = common.RESULTS.parent / "README.md"


def section(record: dict[str, Any]) -> str:
    """Return one result as Markdown: how it was measured, then the table."""
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    threads = record["settings"].get("threads") or machine["threads"]
    gpu = f"{machine['gpu']}; " if machine.get("gpu") else ""
    return (
        f"{gpu}{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}; Python {machine['python']}, {versions}; threads: {threads}; "
        f"load average at the end {machine['load_average']}; {machine['date']}.\n\n"
        + common.markdown(record["rows"])
    )


def main() -> None:
    """Rewrite README.md; a marker whose result is missing keeps its text."""
    text = README.read_text()
    for path in sorted(common.RESULTS.glob("*.json")):
        name = path.stem
        begin, end = f"<!-- results: {name} -->", f"<!-- end: {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(text):
            print(f"README.md has no place for {name}")
            continue
        body = section(json.loads(path.read_text()))
        text = pattern.sub(lambda _, t=f"{begin}\n{body}\n{end}": t, text)
    README.write_text(text)


if __name__ == "__main__":
    main()
