"""
One edit of many elements: all of them or none, one write, one verification.

Every change is planned on the unchanged tree and done from the end of the document
to its beginning, so that a selector that was true of an element before is true of
it when its turn comes: nothing in front of it has changed. Viewers get the changes
in that order, one item each. The bytes of the file change with the last one only;
nobody ever sees a document between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from turbohtml import Element, Node

from beamfast.documents.comparison import place_in
from beamfast.documents.document import Document
from beamfast.documents.edit import Edit, Kind, Operation, apply_to, plan_for
from beamfast.documents.filters import Watch, common_parent
from beamfast.documents.fragment import Told, fragment_in
from beamfast.documents.ladder import Attempt, Rewrite, Site
from beamfast.documents.matches import chosen, outermost, told_selector
from beamfast.documents.plan import Indexes, Plan
from beamfast.documents.selector import Selector
from beamfast.errors import TooLarge

#: Bytes that one edit may tell its viewers, and put into the journal.
MAX_TOLD: Final = 8 * 2**20

_INSERTIONS: Final = (Kind.BEFORE, Kind.PREPEND, Kind.APPEND, Kind.AFTER)


@dataclass(frozen=True, slots=True)
class _Step:
    """One of the changes, planned; ``position`` is where it happens."""

    plan: Plan
    position: tuple[int, ...]
    selector: str
    concerns_tag: bool


def apply_matching(
    document: Document, operation: Operation, *, filters: Iterable[Selector] = ()
) -> tuple[Edit, ...]:
    """
    Carry out ``operation`` on the matches that it means.

    Arguments and errors as of :func:`~beamfast.documents.edit.apply`, and:

    Returns:
        one edit for each element that changed, in the order in which viewers apply
        them; the last one has the new document. None, where nothing matched and
        that was all right.

    Raises:
        EditConflict: more matched than the only one.
        SelectorError: too many matched.
        TooLarge: (``edit-too-large``) too much would change.
    """
    found = document.select(operation.selector, template_scope=operation.template_scope)
    targets = chosen(found, operation.match)
    if operation.kind not in _INSERTIONS and not operation.kind.concerns_tag:
        targets = outermost(targets)
    if len(targets) * len(operation.content) > MAX_TOLD:
        raise too_large()
    wanted = [(target, operation) for target in targets]
    if operation.dedupe:
        wanted += _with_the_same_id(document, operation, targets)
    if len(wanted) > 1:
        return _apply_together(document, wanted, filters)
    return tuple(
        apply_to(
            document,
            target,
            operation,
            told_selector(operation, target, is_first=target is found[0]),
            filters=filters,
        )
        for target in targets
    )


def _with_the_same_id(
    document: Document, operation: Operation, targets: Sequence[Element]
) -> list[tuple[Element, Operation]]:
    """Return the children that make way for new ones with the same id."""
    removal = Operation(Kind.DELETE, operation.selector)
    going = []
    for target in targets:
        new = fragment_in(operation.content, target).nodes
        names = {one.attr("id") for one in new if isinstance(one, Element)} - {None, ""}
        going += [
            (child, removal)
            for child in target.children
            if isinstance(child, Element) and child.attr("id") in names
        ]
    return going


def _apply_together(
    document: Document,
    wanted: Sequence[tuple[Element, Operation]],
    filters: Iterable[Selector],
) -> tuple[Edit, ...]:
    index = Indexes()
    steps = []
    for target, operation in wanted:
        plan = plan_for(document, target, operation)
        steps.append(
            _Step(
                plan,
                plan.position(index),
                target.css_path(),
                operation.kind.concerns_tag,
            )
        )
    # At one place, what comes stands before what goes, so what goes is first.
    steps.sort(key=lambda step: (step.position, bool(step.plan.removed)), reverse=True)
    sites = [Site(tuple(step.plan.ranges)[:1], step.plan.writings) for step in steps]
    common = common_parent([step.position for step in steps])
    around = _node_at(document.html, common)
    watched = Watch(wanted[0][1].selector.normalized, filters)
    watched.look(around, around.children)
    # From here on the tree is the expected one, and no longer the document's.
    expected = document.take_tree()
    told, counts = _perform(document, [step.plan for step in steps])
    watched.look(around, around.children)
    root_tags = sum(step.plan.root_tags for step in steps)
    attempt = Attempt(document, expected, (*common, 0), root_tags)
    rewrite = attempt.climb(sites)
    read = _reader(rewrite, expected)
    return tuple(
        Edit(
            selector=step.selector,
            level=rewrite.level,
            splices=rewrite.splices if step is steps[-1] else (),
            source=(rewrite.document if step is steps[-1] else document).source,
            told=one,
            position=step.position,
            count=count,
            result=read(step.position) if step.concerns_tag else result,
            matched=frozenset(watched.matched),
            _document=rewrite.document if step is steps[-1] else document,
        )
        for step, one, count, result in zip(
            steps, told, counts, rewrite.results, strict=True
        )
    )


def _perform(document: Document, plans: Sequence[Plan]) -> tuple[list[Told], list[int]]:
    """Do everything on the tree; return what viewers get, and what is new."""
    told: list[Told] = []
    counts: list[int] = []
    size = 0
    for plan in plans:
        counts.append(plan.perform())
        told.append(plan.told(document))
        size += len(told[-1].content)
        if size > MAX_TOLD:
            raise too_large()
    return told, counts


def _reader(rewrite: Rewrite, expected: Node) -> Callable[[tuple[int, ...]], bytes]:
    """Return what gives the bytes of an element whose tag has changed."""

    def read(position: tuple[int, ...]) -> bytes:
        place = place_in(
            *(rewrite.document.html, expected, position, 1), is_exact=rewrite.is_exact
        )
        (element,) = place.nodes
        assert isinstance(element, Element)
        return rewrite.document.element_bytes(element)

    return read


def _node_at(tree: Node, path: tuple[int, ...]) -> Node:
    for index in path:
        tree = tree[index]
    return tree


def too_large() -> TooLarge:
    """Return the refusal of an edit that tells its viewers too much."""
    return TooLarge("The edit would change too much at once", code="edit-too-large")
