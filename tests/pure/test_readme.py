"""What the README says of itself is so."""

import ast
import re
from pathlib import Path

HOME = Path(__file__).parents[2]
README = (HOME / "README.md").read_text(encoding="utf-8")


def names(path: Path) -> set[str]:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {it.name for it in ast.parse(path.read_text()).body if isinstance(it, functions)}


def test_each_test_that_it_names_exists():
    there = set().union(*(names(path) for path in (HOME / "tests").rglob("test_*.py")))
    table = README.partition("## How it compares")[2]
    named = re.findall(r"`(test_\w+)`", table)
    assert len(named) > 30
    assert set(named) - there == set()


def test_each_row_of_the_comparison_names_a_test():
    table = README.partition("## How it compares")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    rows = [line for line in rows if not line.startswith("| **")]
    assert [line for line in rows if "`test_" not in line] == []


def test_each_example_is_in_its_table_and_in_a_test():
    tests = "".join(path.read_text() for path in (HOME / "tests" / "examples").glob("*.py"))
    for example in (HOME / "examples").glob("*.py"):
        assert f"| `{example.name}" in README or example.name == "voice_bot.py"
        assert f'"{example.name}"' in tests
