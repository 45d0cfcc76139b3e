"""The README's table of consequences, made from the tests that show each line.

`python -m tests.consequences` writes it; a test compares the two.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- consequences -->", "<!-- end of consequences -->"
MARK = "consequence"


def marks():
    """Yield (number, what happens, what follows) for each marked test."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for decorator in getattr(node, "decorator_list", []):
                function = getattr(decorator, "func", None)
                if isinstance(function, ast.Attribute) and function.attr == MARK:
                    yield tuple(ast.literal_eval(argument) for argument in decorator.args)


def table():
    """Return the table; a line stands once, however many tests show it."""
    lines = ["| What happens | What follows |", "|---|---|"]
    lines += [f"| {what} | {follows} |" for _number, what, follows in sorted(set(marks()))]
    return "\n".join(lines)


def written(text):
    """Return a README's text with the table as it should be."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


def main():
    readme = ROOT / "README.md"
    readme.write_text(written(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
