"""The Markdown that users read: its blocks, tables, headings and links."""

from __future__ import annotations

import re
from pathlib import Path

from tests.running import ROOT

README = Path(ROOT, "README.md").read_text()
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *Path(ROOT, "docs").glob("*.md")])
}
# In the order of reading: an example stands in the README first.
MANUAL = [README, *(text for name, text in DOCUMENTS.items() if name.startswith("docs/"))]


def blocks(language: str, text: str = README) -> list[str]:
    """Return the fenced blocks of this language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for its_language, block in fenced if its_language == language]


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def tables(heading: str, text: str = README) -> list[list[list[str]]]:
    """Return the cells of each table below a heading, without its first two lines."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"(?:^\|.*\n)+", without_blocks(section), re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]]
        for table in found
    ]


def table(heading: str, text: str = README) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its first two lines."""
    return tables(heading, text)[0]


def anchors(text: str) -> set[str]:
    """Return what a link to a heading ends in, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


def reports() -> list[str]:
    """Return the reports of runs that passed, as the README shows them."""
    return [block for block in blocks("") if block.startswith("PASSED")]


def first_words(report: str) -> set[str]:
    """Return the words that the lines of a report begin with: what each line is about."""
    return set(re.findall(r"^  (\w+) ", report, re.MULTILINE))


def promised(command: str) -> dict[str, str]:
    """Return what docs/reports.md says of each member of a command's JSON report."""
    of_both, of_rollout = tables("The JSON report", DOCUMENTS["docs/reports.md"])
    rows = of_both + (of_rollout if command == "rollout" else [])
    return {name: told for names, told in rows for name in names.split("`")[1::2]}
