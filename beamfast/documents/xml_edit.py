"""
Edits of XML documents: the operations of HTML, with content that is well-formed.

Prefixes of the place are known in the content. Every place is marked with processing
instructions, the tree is written, the content is put at the marks, and the result is
read back: so what stands around is what it was, CDATA sections and entity references
included. The file is written as a whole.

Viewers get what the other documents send them, with the content as text: an HTML
parser would not leave the tags of XML as they are.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from beamfast.documents.document import Document
from beamfast.documents.edit import Edit, Kind, Operation
from beamfast.documents.fragment import Told, text_of
from beamfast.documents.matches import chosen
from beamfast.documents.selector import Selector
from beamfast.documents.several import MAX_TOLD, too_large
from beamfast.documents.xml import XmlSource, parse_root, path_to, select_xml, serialize
from beamfast.entry import Splice
from beamfast.errors import EditConflict, EditRefused

_BESIDE: Final = (Kind.BEFORE, Kind.AFTER)
_INSERTIONS: Final = (Kind.PREPEND, Kind.APPEND, *_BESIDE)
_WHITE_SPACE: Final = " \t\n\r"


def apply_xml(
    document: Document, operation: Operation, *, filters: Iterable[Selector] = ()
) -> tuple[Edit, ...]:
    """
    Carry out ``operation`` on the matches that it means.

    Arguments, result and errors as of
    :func:`~beamfast.documents.several.apply_matching`. An edit of XML concerns all
    filters.
    """
    source = XmlSource.parse(document.source)
    found = select_xml(source.root, operation.selector)
    targets = chosen(found, operation.match)
    if not targets:
        return ()
    if len(targets) * len(operation.content) > MAX_TOLD:
        raise too_large()
    is_as_sent = (
        len(targets) == 1 and targets[0] is found[0] and operation.selector.is_standard
    )
    targets = _in_order(targets, operation.kind)
    selectors = [
        operation.selector.text if is_as_sent else path_to(one) for one in targets
    ]
    if operation.kind.concerns_tag:
        done = _change_tags(targets, operation)
    else:
        done = _change_content(source, targets, operation)
    if sum(len(told) for told, _ in done) > MAX_TOLD:
        raise too_large()
    after = source.to_bytes()
    last = len(done) - 1
    return tuple(
        Edit(
            selector=selector,
            level="full",
            splices=(_difference(document.source, after),) if at == last else (),
            source=after if at == last else document.source,
            told=Told(html.escape(told), "div"),
            position=(),
            count=0,
            result=result.encode(),
            matched=frozenset(filters),
            _document=Document(after) if at == last else document,
        )
        for at, (selector, (told, result)) in enumerate(
            zip(selectors, done, strict=True)
        )
    )


def _in_order(
    targets: Sequence[etree._Element], kind: Kind
) -> Sequence[etree._Element]:
    """Return the targets from the end of the document to its beginning."""
    known = set(targets)
    if kind not in _INSERTIONS and not kind.concerns_tag:
        targets = [one for one in targets if known.isdisjoint(one.iterancestors())]
    if kind in (Kind.APPEND, Kind.AFTER):
        # What ends last comes first.
        walk = etree.iterwalk(targets[0].getroottree(), ("end",))
        targets = [one for _, one in walk if one in known]
    return targets[::-1]


def _change_content(
    source: XmlSource, targets: Sequence[etree._Element], operation: Operation
) -> list[tuple[str, str]]:
    """Do it; return for each target what viewers are told, and what stands there."""
    kind, content = operation.kind, text_of(operation.content)
    if kind is Kind.DELETE or (kind is Kind.REPLACE and not content):
        kind, content = Kind.DELETE, ""
    elif kind is Kind.TEXT or operation.is_text:
        content = escape(content)
    if source.root in targets:
        if kind is Kind.REPLACE:
            _check_root(content)
            source.root = parse_root(content.strip(_WHITE_SPACE).encode())
            return [(content, content)]
        if kind in (Kind.DELETE, *_BESIDE):
            raise EditConflict("The root element stays, and nothing stands beside it")
    old = [serialize(one).decode() for one in targets]
    for target in targets:
        inside = kind not in (Kind.REPLACE, *_BESIDE, Kind.DELETE)
        place = target if inside else target.getparent()
        assert place is not None
        _check_content(content, place)
    marks = _Marks(f"beam-{secrets.token_hex(8)}")
    marks.put(targets)
    written = marks.spliced(
        serialize(source.root, source.encoding),
        *(len(targets), kind, content.encode(source.encoding, "xmlcharrefreplace")),
    )
    source.root = parse_root(source.before + marks.without(written) + source.after)
    if operation.kind is Kind.DELETE:
        return [(one, "") for one in old]
    if kind in (Kind.REPLACE, Kind.DELETE, Kind.APPEND):
        return [(content, content)] * len(targets)
    if kind is Kind.AFTER:
        # Of nested ones the outer is told first, as it was.
        return [(one + content, content) for one in old]
    new = marks.find(parse_root(source.before + written + source.after), len(targets))
    lead = content if kind is Kind.BEFORE else ""
    return [(lead + one, content) for one in new]


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where the targets begin and end, in a tree and in its text."""

    token: str

    def put(self, targets: Sequence[etree._Element]) -> None:
        """Mark each target, before its start tag and before its end tag."""
        for number, target in enumerate(targets):
            if target.getparent() is not None:
                mark = etree.ProcessingInstruction(f"{self.token}-s", f"{number}")
                target.addprevious(mark)
            target.append(etree.ProcessingInstruction(f"{self.token}-e", f"{number}"))

    def without(self, text: bytes) -> bytes:
        """Return ``text`` without the marks."""
        return re.sub(rb"<\?%s-[se] \d+\?>" % self.token.encode(), b"", text)

    def spliced(self, text: bytes, count: int, kind: Kind, content: bytes) -> bytes:
        """Return ``text`` with ``content`` at each target, and the marks."""
        # The root element begins where the text does.
        starts, ends = [(0, 0)] * count, [(0, 0)] * count
        pattern = rb"<\?%s-([se]) (\d+)\?>" % self.token.encode()
        for match in re.finditer(pattern, text):
            (starts if match[1] == b"s" else ends)[int(match[2])] = match.span()
        changes = []
        for start, end in zip(starts, ends, strict=True):
            # In attributes lxml writes ">" as a reference.
            opened = text.index(b">", start[1]) + 1
            closed = text.index(b">", end[1]) + 1
            changes.append(
                {
                    Kind.REPLACE: (start[1], closed),
                    Kind.DELETE: (start[1], closed),
                    Kind.BEFORE: (start[0], start[0]),
                    Kind.AFTER: (closed, closed),
                    Kind.PREPEND: (opened, opened),
                    Kind.APPEND: (end[0], end[0]),
                }.get(kind, (opened, end[0]))
            )
        pieces: list[bytes] = []
        done = 0
        for first, last in sorted(changes):
            pieces += (text[done:first], content)
            done = last
        return b"".join([*pieces, text[done:]])

    def find(self, root: etree._Element, count: int) -> list[str]:
        """Return each target as it is now."""
        found = [""] * count
        for mark in root.iter(etree.ProcessingInstruction):
            target = mark.getparent()
            written = etree.tostring(mark, encoding="unicode", with_tail=False)
            match = re.fullmatch(rf"<\?{self.token}-e (\d+)\?>", written)
            if match and target is not None:
                found[int(match[1])] = self.without(serialize(target)).decode()
        return found


def _check_content(content: str, place: etree._Element) -> None:
    """Refuse what is not well-formed inside ``place``."""
    declared = "".join(
        f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}"
        for prefix, uri in place.nsmap.items()
        if prefix != "xml"
    )
    parse_root(f"<content{declared}>{content}</content>".encode())


def _check_root(content: str) -> None:
    # A root element declares all it needs, and is alone.
    new = parse_root(content.strip(_WHITE_SPACE).encode())
    if new.getprevious() is not None or new.getnext() is not None:
        raise EditRefused("The content is more than one root element")


def _change_tags(
    targets: Sequence[etree._Element], operation: Operation
) -> list[tuple[str, str]]:
    done = []
    for target in targets:
        _change_tag(target, operation)
        written = serialize(target).decode()
        done.append((written, written))
    return done


def _change_tag(target: etree._Element, operation: Operation) -> None:
    kind, name = operation.kind, operation.name
    if kind in (Kind.SET_ATTRIBUTE, Kind.REMOVE_ATTRIBUTE):
        known = _attribute(target, name)
        try:
            if kind is Kind.SET_ATTRIBUTE:
                target.set(known, text_of(operation.content))
            else:
                target.attrib.pop(known, None)
        except ValueError:
            raise EditRefused(f"XML has no attribute {name} with that value") from None
        return
    value = target.get("class") or ""
    tokens = re.split(f"[{_WHITE_SPACE}]+", value)
    is_there = name in tokens
    if kind is Kind.ADD_CLASS or (kind is Kind.TOGGLE_CLASS and not is_there):
        if not is_there:
            target.set("class", f"{value} {name}".strip(_WHITE_SPACE))
    elif is_there:
        target.set("class", " ".join(one for one in tokens if one != name).strip())


def _attribute(target: etree._Element, name: str) -> str:
    prefix, colon, local = name.partition(":")
    if not colon:
        return name
    uri = "http://www.w3.org/XML/1998/namespace"
    if prefix != "xml":
        uri = target.nsmap.get(prefix, "")
    if not uri or not local:
        raise EditRefused(f"The prefix {prefix} is not declared there")
    return f"{{{uri}}}{local}"


def _difference(before: bytes, after: bytes) -> Splice:
    """Return the one splice that leads from ``before`` to ``after``."""
    start = _common(before, after, 0)
    least = min(len(before), len(after)) - start
    end = _common(before[::-1][:least], after[::-1][:least], 0)
    return Splice(start, len(before) - end - start, after[start : len(after) - end])


def _common(one: bytes, other: bytes, known: int) -> int:
    """Return the length of the common prefix, by halves."""
    high = min(len(one), len(other))
    while known < high:
        middle = (known + high + 1) // 2
        if one[known:middle] == other[known:middle]:
            known = middle
        else:
            high = middle - 1
    return known
