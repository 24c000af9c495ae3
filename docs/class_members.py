"""
The directive ``class-members``: what a class offers, from its source.

``{class-members} http.Request`` is a table of the public attributes and methods of
that class, inherited ones included. The source is read, not imported, so that the
pages can be built without a compiler.
"""

import ast
import itertools
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PACKAGE = Path(__file__).parent.parent / "beamfast"


def members_table(name: str, used: set[Path] | None = None) -> list[str]:
    """Return the lines of a Markdown table for ``module.Class`` of the package."""
    members: dict[str, str] = {}
    for node, source in lineage(name, set() if used is None else used):
        for title, text in attributes_of(node, source).items():
            members.setdefault(title, text)
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                if method.name.startswith("_") or is_setter(method):
                    continue
                text = summary(ast.get_docstring(method) or "")
                if not any(one.partition("(")[0] == method.name for one in members):
                    members[title_of(method)] = text
    rows = [f"| `{title}` | {text} |" for title, text in members.items()]
    return ["| name | what it is |", "|---|---|", *rows]


def lineage(name: str, used: set[Path]) -> list[tuple[ast.ClassDef, list[str]]]:
    """Return a class and its bases here, with their sources."""
    module, _, title = name.rpartition(".")
    path = PACKAGE / f"{module.replace('.', '/')}.py"
    if not path.exists():
        # Of what is compiled the stub can be read.
        path = path.with_suffix(".pyi")
    if not path.exists():
        return []
    used.add(path)
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    homes = {
        alias.name: f"{node.module.removeprefix('beamfast.')}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("beamfast.")
        for alias in node.names
    }
    found = [
        (node, source.splitlines())
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == title
    ]
    if found and path.suffix == ".pyi":
        used.add(path.with_suffix(".pyx"))
        explain(found[0][0], path.with_suffix(".pyx").read_text("utf-8"))
    for base in found[0][0].bases if found else ():
        written = ast.unparse(base).partition("[")[0]
        found += lineage(homes.get(written, f"{module}.{written}"), used)
    return found


def explain(node: ast.ClassDef, source: str) -> None:
    """Give the class of a stub and its methods the docstrings of the source."""
    block = re.search(
        rf"^cdef class {node.name}\b.*?(?=^\S|\Z)", source, re.MULTILINE | re.DOTALL
    )
    assert block is not None, node.name
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    for one, head in [
        (node, rf"class {node.name}\b"),
        *((method, rf"def {method.name}\(") for method in methods),
    ]:
        # The head of a method may fill several lines.
        told = re.search(rf'{head}[^"]*:\n\s+"""(.*?)"""', block[0], re.DOTALL)
        if told is not None:
            one.body.insert(0, ast.Expr(ast.Constant(told[1])))


def attributes_of(node: ast.ClassDef, source: list[str]) -> dict[str, str]:
    """Return what docstring and comments say of attributes and of arguments kept."""
    docstring = ast.get_docstring(node) or ""
    found: dict[str, str] = {}
    for title in ("Attributes", "Args"):
        section = re.search(rf"^{title}:\n((?: .*\n?|\n)*)", docstring, re.MULTILINE)
        if section is None:
            continue
        entries = re.findall(
            r"^ {4}([\w, ]+): (.+(?:\n {8}.*)*)", section[1], re.MULTILINE
        )
        kept = kept_names(node)
        for names, text in entries:
            for name in names.split(", "):
                if title == "Attributes" or name in kept:
                    found.setdefault(name, markdown(text))
    # An attribute can have its text behind it.
    parts = [one for one in ast.walk(node) if isinstance(one, ast.FunctionDef)]
    for body in (node.body, *(part.body for part in parts if part.name == "__init__")):
        for one, text in itertools.pairwise(body):
            if (
                isinstance(one, ast.AnnAssign)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                title = ast.unparse(one.target).removeprefix("self.")
                found.setdefault(title, markdown(str(text.value.value)))
    for one in node.body:
        # What is left: members of enumerations, fields that explain themselves.
        if isinstance(one, ast.AnnAssign):
            found.setdefault(ast.unparse(one.target), comment(one, source))
        elif isinstance(one, ast.Assign) and ast.unparse(one.targets[0]).isupper():
            found.setdefault(ast.unparse(one.targets[0]), comment(one, source))
    return {name: text for name, text in found.items() if not name.startswith("_")}


def comment(node: ast.AnnAssign | ast.Assign, source: list[str]) -> str:
    """Return what stands above an attribute, or else its kind or value."""
    above: list[str] = []
    for line in reversed(source[: node.lineno - 1]):
        if not line.strip().startswith("#:"):
            break
        above.insert(0, line.strip().removeprefix("#:"))
    if above:
        return markdown(" ".join(above))
    told = node.annotation if isinstance(node, ast.AnnAssign) else node.value
    text = ast.unparse(told)
    return (
        "one of them" if text == "enum.auto()" else "`" + text.replace("|", r"\|") + "`"
    )


def kept_names(node: ast.ClassDef) -> set[str]:
    """Return the attributes that a class has, as its source shows them."""
    return (
        {
            ast.unparse(one.target).removeprefix("self.")
            for one in ast.walk(node)
            if isinstance(one, ast.AnnAssign)
        }
        | {
            ast.unparse(target).removeprefix("self.")
            for one in ast.walk(node)
            if isinstance(one, ast.Assign)
            for target in one.targets
        }
        | {
            one.name
            for one in node.body
            if isinstance(one, ast.FunctionDef) and is_property(one)
        }
    )


def is_setter(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether this is the second half of a property."""
    return any(ast.unparse(one).endswith(".setter") for one in method.decorator_list)


def is_property(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether it is read like an attribute."""
    decorators = {ast.unparse(one) for one in method.decorator_list}
    kinds = {"property", "cached_property", "functools.cached_property"}
    return bool(decorators & kinds)


def title_of(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return how a method is called, or the bare name of a property."""
    if is_property(method):
        return method.name
    arguments = method.args
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        one.annotation = None
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            rest.annotation = None
    if "staticmethod" not in map(ast.unparse, method.decorator_list):
        del (arguments.posonlyargs or arguments.args)[0]
    called = f"{method.name}({ast.unparse(arguments)})"
    is_coroutine = isinstance(method, ast.AsyncFunctionDef)
    return called if not is_coroutine or yields(method) else f"await {called}"


def yields(method: ast.AsyncFunctionDef) -> bool:
    """Tell whether it is iterated over, not awaited."""
    return any(isinstance(one, ast.Yield) for one in ast.walk(method))


def summary(docstring: str) -> str:
    """Return the first paragraph of a docstring in Markdown."""
    return markdown(docstring.strip().partition("\n\n")[0])


def markdown(text: str) -> str:
    """Return a sentence of a docstring as it stands in a table."""
    text = re.sub(r"\s+", " ", text).strip().rstrip(".")
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?([\w()]+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", r"\|")


class ClassMembers(SphinxDirective):
    """Put the table of one class in place."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the sources and render the table."""
        used: set[Path] = set()
        lines = members_table(self.arguments[0], used)
        for path in used:
            self.env.note_dependency(str(path))
        container = nodes.Element()
        self.state.nested_parse(StringList(lines, self.arguments[0]), 0, container)
        return container.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("class-members", ClassMembers)
    return {"parallel_read_safe": True}
