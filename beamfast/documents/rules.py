"""
Who may do what: authorization rules, and the one rule that decides.

Rules stand in an HTML page as ``AuthorizationRule`` items. Of those that apply
the highest in rank decides: subject before path before selector before action
before order. Without one, the answer is no.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from beamfast.documents.document import Document
from beamfast.documents.microdata import Item, items_of
from beamfast.documents.selector import Selector
from beamfast.errors import DocumentError, SelectorError

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
#: Stands for the logged-in user, as a subject and in paths.
OWN_NAME: Final = ":username"

_OWN_NAME_IN_SELECTOR: Final = re.compile(r"\$\{\s*username\s*\}")

logger: logging.Logger = logging.getLogger("beamfast.authorization")


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks.

    Attributes:
        user: name, or None for anonymous.
        roles: of the user.
    """

    user: str | None
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked for.

    Attributes:
        method: in upper case.
        path: canonical.
        selector: of the request, or None for the whole document.
        document: at ``path``, to compare selectors by what they match; or None.
        template_scope: the selector also enters ``template`` elements.
    """

    method: str
    path: str
    selector: Selector | None = None
    document: Document | None = None
    template_scope: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    Attributes:
        subject: user name, role, ``*`` or ``:username``.
        path: exact, with ``:name`` segments, ending in ``/*``, or ``*``.
        methods: in upper case; ``*`` for all.
        selector: CSS, ``*`` for any, or empty for requests without a selector.
        allows: what it decides.
    """

    subject: str
    path: str
    methods: frozenset[str]
    selector: str
    allows: bool

    def rank(self, caller: Caller) -> tuple[int, int, int, bool, bool] | None:
        """Return how much this rule counts for ``caller``; None for not at all."""
        priority = self._priority(caller)
        if priority is None:
            return None
        literal = self.path.removesuffix("*").split(":")[0]
        is_prefix = self.path.endswith("*")
        form = 0 if is_prefix else 1 if "/:" in self.path else 2
        is_literal = self.selector not in ("", "*")
        return priority, form, len(literal), is_literal, not self.allows

    def applies(self, caller: Caller, question: Question) -> bool:
        """Tell whether path and selector of the question fall under this rule."""
        return self._has_path(caller, question.path) and self._has_selector(
            caller, question
        )

    def _priority(self, caller: Caller) -> int | None:
        if self.subject == "*":
            return 0
        if caller.user is None:
            return None
        if self.subject == caller.user:
            return 3
        if self.subject == OWN_NAME:
            return 2
        return 1 if self.subject in caller.roles else None

    def _has_path(self, caller: Caller, path: str) -> bool:
        if self.path == "*":
            return True
        pattern = self.path.split("/")
        names = path.split("/")
        if pattern[-1] == "*":
            pattern.pop()
            names = names[: len(pattern)]
        return len(pattern) == len(names) and all(
            _is_segment(expected, name, caller)
            for expected, name in zip(pattern, names, strict=True)
        )

    def _has_selector(self, caller: Caller, question: Question) -> bool:
        if question.selector is None or not self.selector:
            # A rule about elements says nothing about files, and the reverse.
            return question.selector is None and not self.selector
        if self.selector == "*":
            return True
        text = self.selector
        if _OWN_NAME_IN_SELECTOR.search(text):
            if caller.user is None:
                return False
            own = re.sub(r"([\\\"'])", r"\\\1", caller.user)
            text = _OWN_NAME_IN_SELECTOR.sub(lambda _: own, text)
        if question.document is None or not question.document.size:
            return text == question.selector.text
        try:
            allowed, wanted = (
                question.document.select(one, template_scope=question.template_scope)
                for one in (Selector.parse(text), question.selector)
            )
        except (SelectorError, DocumentError):
            return text == question.selector.text
        return set(allowed).issuperset(wanted)


def _is_segment(expected: str, name: str, caller: Caller) -> bool:
    if expected == OWN_NAME:
        return caller.user is not None and name == caller.user
    return bool(name) if expected.startswith(":") else expected == name


class Rules:
    """
    All rules of a page.

    Args:
        rules: in document order.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self._names_head = any("HEAD" in rule.methods for rule in rules)

    @classmethod
    def parse(cls, text: str, *, require_subject: bool = False) -> Rules:
        """
        Read the rules of a page; one without path or method is passed over.

        Args:
            text: of the page.
            require_subject: also pass over one that says nobody.
        """
        return cls(
            [
                rule
                for item in items_of(text)
                if item.kind() == "AuthorizationRule"
                and (rule := _read_rule(item, require_subject)) is not None
            ]
        )

    def allow(self, caller: Caller, question: Question) -> bool:
        """Return what the highest-ranked rule that applies decides; no without one."""
        method = question.method
        if method == "HEAD" and not self._names_head:
            method = "GET"
        best: tuple[int, int, int, bool, bool] | None = None
        allows = False
        for rule in self.rules:
            if method not in rule.methods and "*" not in rule.methods:
                continue
            rank = rule.rank(caller)
            if rank is None or (best is not None and rank <= best):
                continue
            if rule.applies(caller, question):
                best, allows = rank, rule.allows
        return allows

    def methods(self, caller: Caller, question: Question) -> list[str]:
        """Return the methods that ``caller`` may use there, in alphabetical order."""
        return [
            method
            for method in METHODS
            if (method != "HEAD" or self._names_head)
            and (method != "PATCH" or self._names("PATCH"))
            and self.allow(caller, replace(question, method=method))
        ]

    def _names(self, method: str) -> bool:
        return any(method in rule.methods for rule in self.rules)


def _read_rule(item: Item, require_subject: bool) -> Rule | None:
    subject = item.get("username") or item.get("role")
    words = ",".join(item.texts("method")).upper().split(",")
    methods = frozenset(word.strip() for word in words if word.strip())
    path = item.get("path")
    if not path or not methods:
        logger.warning("line %d: a rule without path or method", item.line)
        return None
    if not subject and require_subject:
        logger.warning("line %d: a rule without subject", item.line)
        return None
    if not subject:
        logger.warning("line %d: a rule without subject counts for all", item.line)
        subject = "*"
    if subject == "{username}":
        subject = OWN_NAME
    return Rule(
        subject,
        path.replace("{username}", OWN_NAME),
        methods,
        item.get("selector"),
        item.get("action").lower() == "allow",
    )
