"""
The directive ``plugin-options``: a table of a plugin's options, from its source.

The source is read, not imported, so that the pages can be built without a compiler.
"""

import ast
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PLUGINS = Path(__file__).parent.parent / "beamfast" / "plugins"
KINDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "yes or no",
    "Path": "path",
    "tuple[str, ...]": "list",
    "Mapping[str, str]": "table",
}


def options_table(source: str) -> list[str]:
    """Return the lines of a Markdown table for the ``Options`` of a plugin."""
    classes = {
        node.name: node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }
    options = classes["Options"]
    meanings = attribute_texts(ast.get_docstring(options) or "")
    also = aliases(list(classes.values()))
    lines = ["| option | kind | default | meaning |", "|---|---|---|---|"]
    for field in options.body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(
            field.target, ast.Name
        ):
            continue
        name = field.target.id
        meaning = meanings[name]
        if name in also:
            meaning += "; also " + " or ".join(f"`{one}`" for one in also[name])
        lines.append(
            f"| `{name}` | {kind(field.annotation)} | {default(field.value)} "
            f"| {meaning} |"
        )
    return lines


def attribute_texts(docstring: str) -> dict[str, str]:
    """Return what the section ``Attributes`` says of each name, in Markdown."""
    section = docstring.partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.*)*)", section, re.MULTILINE)
    return {
        name: re.sub(r"\s+", " ", text)
        .rstrip(".")
        .replace("``", "`")
        .replace("|", r"\|")
        for name, text in found
    }


def aliases(classes: list[ast.ClassDef]) -> dict[str, list[str]]:
    """Return the further spellings of options, by option."""
    found: dict[str, list[str]] = {}
    for node in classes:
        for field in node.body:
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and field.target.id == "aliases"
                and isinstance(field.value, ast.Dict)
            ):
                for alias, name in ast.literal_eval(field.value).items():
                    found.setdefault(name, []).append(alias)
    return found


def kind(annotation: ast.expr) -> str:
    """Return a word for the type of an option."""
    text = ast.unparse(annotation).removesuffix(" | None")
    if match := re.fullmatch(r"Literal\[(.+)\]", text):
        choices = [choice.strip("' ") for choice in match[1].split(",")]
        return ", ".join(f"`{choice}`" for choice in choices if choice)
    return KINDS.get(text, f"`{text}`")


def default(value: ast.expr | None) -> str:
    """Return the default of an option, as people write it."""
    if value is None:
        return "required"
    try:
        found = ast.literal_eval(value)
    except ValueError:
        text = ast.unparse(value)
        return f"{size(text)}" if re.fullmatch(r"[\d\s*]+", text) else "none"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if found in (None, "", ()):
        return "none"
    if isinstance(found, tuple):
        return ", ".join(f"`{one}`" for one in found)
    return f"`{found}`" if isinstance(found, str) else str(found).removesuffix(".0")


def size(text: str) -> str:
    """Return a product of powers of two as bytes are written."""
    number = 1
    for factor in re.sub(r"\s", "", text).replace("**", "^").split("*"):
        base, _, exponent = factor.partition("^")
        number *= int(base) ** int(exponent or 1)
    for unit, step in (("MiB", 2**20), ("KiB", 2**10)):
        if number % step == 0:
            return f"{number // step} {unit}"
    return str(number)


class PluginOptions(SphinxDirective):
    """Put the table of one plugin in place."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the source and render the table."""
        path = PLUGINS / f"{self.arguments[0].replace('-', '_')}.py"
        self.env.note_dependency(str(path))
        lines = options_table(path.read_text("utf-8"))
        container = nodes.Element()
        self.state.nested_parse(StringList(lines, str(path)), 0, container)
        return container.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("plugin-options", PluginOptions)
    return {"parallel_read_safe": True}
