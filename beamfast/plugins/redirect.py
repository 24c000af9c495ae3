"""
Redirects by rules: where a path has moved, and where a refusal leads.

Rules stand in the configuration, or as ``RedirectRule`` items in an HTML page that
is read again when it changes. Patterns are Python's; they search in the decoded
path without the query. Python cannot limit the time of a search: a pattern that
repeats what is repeated already is refused, and very long paths are left alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import quote

from beamfast.documents.microdata import items_of
from beamfast.documents.page import Page
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin, replace_content

logger: logging.Logger = logging.getLogger("beamfast.redirect")

STATUSES: Final = (301, 302, 303, 307, 308)
#: Longer paths match nothing: the time of a search may grow with their square.
LONGEST_PATH: Final = 2048

# What may stand in a URL as it is (RFC 3986, 2.2, 2.3), and in a path (3.3).
_URL: Final = "%/:?#[]@!$&'()*+,;="
_PATH: Final = "/:@!$&'()*+,;="

# The spelling of other engines, which published rules use.
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_])")
_GROUP: Final = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
_ROW: Final = re.compile(r"(\d+)[-_]?(pattern|replacement|status|condition)")
_PATTERN_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\()|(?P<close>\))"
    r"|(?P<repeat>[*+]|\{\d*,?\d*\})|.",
    re.DOTALL,
)


@dataclass(frozen=True)
class Options:
    """
    Options of the redirect plugin.

    Attributes:
        rules_file: page with ``RedirectRule`` items.
        redirect_rule: ``redirect_rule_1_pattern``, ``_replacement``, ``_status`` and
            ``_condition``: rules in order of their number, before the page's.
        default_status_code: of rules that name none, or none that redirects.
        keep_query: the query goes along.
        sample_rules: two rules to try the plugin with.
    """

    rules_file: Path | None = None
    redirect_rule: Mapping[str, str] = field(default_factory=dict)
    default_status_code: int = 302
    keep_query: bool = False
    sample_rules: bool = False

    def __post_init__(self) -> None:
        """Refuse a status that redirects nobody."""
        if self.default_status_code not in STATUSES:
            raise ValueError(f"{self.default_status_code} is none of {STATUSES}")


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    Attributes:
        pattern: searched in the path.
        to: what replaces the match; ``$1``, ``${1}`` and ``$name`` are its groups.
        status: of the answer.
        on: statuses of answers that are redirected; empty for requests.
        schemes: ``http`` and ``https``, or the one that it is for.
    """

    pattern: re.Pattern[str]
    to: str
    status: int
    on: frozenset[int] = frozenset()
    schemes: frozenset[str] = frozenset({"http", "https"})

    @classmethod
    def parse(
        cls, pattern: str, to: str, status: str, on: Iterable[str], conditions: str
    ) -> Rule:
        """
        Read the texts of a rule; ``status`` is one that redirects.

        Raises:
            ValueError: one of them cannot be used.
        """
        if not pattern or not to:
            raise ValueError("a redirect needs a pattern and a target")
        if has_nested_repeats(pattern):
            raise ValueError(f"{pattern}: a repeat inside a repeat takes too long")
        try:
            compiled = re.compile(_NAMED_GROUP.sub("(?P<", pattern))
        except re.error as error:
            raise ValueError(f"{pattern}: {error}") from None
        schemes = frozenset({"http", "https"})
        for condition in filter(None, map(str.strip, conditions.split(","))):
            if condition not in ("https_only", "http_only"):
                raise ValueError(f"{condition} is neither https_only nor http_only")
            schemes &= {condition.removesuffix("_only")}
        codes = [code.strip() for text in on for code in text.split(",")]
        if not all(code.isdecimal() for code in codes):
            raise ValueError(f"on: {', '.join(codes)} are no status codes")
        return cls(compiled, to, int(status), frozenset(map(int, codes)), schemes)

    def location(self, request: Request) -> str | None:
        """Return where this rule sends a request, None for nowhere."""
        path = request.path
        if ("https" if request.is_https else "http") not in self.schemes:
            return None
        if len(path) > LONGEST_PATH or not (match := self.pattern.search(path)):
            return None
        parts: list[str] = []
        position = 0
        for name in _GROUP.finditer(self.to):
            parts.append(quote(self.to[position : name.start()], safe=_URL))
            parts.append("$" if name[1] else _group(match, name[2] or name[3]))
            position = name.end()
        parts.append(quote(self.to[position:], safe=_URL))
        before = quote(path[: match.start()], safe=_PATH)
        after = quote(path[match.end() :], safe=_PATH)
        found = before + "".join(parts) + after
        # Two slashes would name another host (RFC 3986, 4.2), which only a rule may.
        if found.startswith("//") and not self.to.startswith("//"):
            found = "/" + found.lstrip("/")
        return found


def _group(match: re.Match[str], name: str) -> str:
    """Return a group of the match, percent-encoded again; unknown ones are empty."""
    try:
        text = match[int(name) if name.isdecimal() else name]
    except (IndexError, KeyError):
        text = None
    return quote(text or "", safe=_PATH)


def has_nested_repeats(pattern: str) -> bool:
    """Tell whether a group that repeats something is repeated itself."""
    repeats = [False]
    closed = False
    for token in _PATTERN_TOKEN.finditer(pattern):
        if token["repeat"]:
            if closed:
                return True
            repeats[-1] = True
        closed = False
        if token["open"]:
            repeats.append(False)
        elif token["close"] and len(repeats) > 1:
            closed = repeats.pop()
            repeats[-1] |= closed
    return False


class Redirect(Plugin[Options]):
    """Send clients elsewhere, before the answer or instead of it."""

    name = "redirect"
    aliases: ClassVar[Mapping[str, str]] = {"config_file": "rules_file"}

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._own: tuple[Rule, ...] = self._configured()
        self._rules: tuple[Rule, ...] = self._own
        self._page: Page[tuple[Rule, ...] | None] | None = None
        if self.options.rules_file is not None:
            # The first look is strict, so that a mistake shows before serving.
            path = str(self.options.rules_file)
            rules = Page(path, self._read_rules, None).read()
            if rules is None:
                raise ValueError(f"{path} cannot be read")
            self._rules += rules
            self._page = Page(path, self._reread, None)

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Answer when a rule for requests fits; the first one wins."""
        location, status = self._target(request, None)
        if location is None:
            return None
        response = Response(status, f"Redirecting to: {location}")
        response.headers.set("Location", location)
        return response

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Turn the answer into a redirect when a rule for its status fits."""
        location, status = self._target(request, response.status)
        if location is not None:
            text = f"Redirecting to: {location}"
            replace_content(response, status, text, "text/plain; charset=utf-8")
            response.headers.set("Location", location)

    def _target(self, request: Request, status: int | None) -> tuple[str | None, int]:
        for rule in self._current():
            if (status in rule.on) if status is not None else not rule.on:
                location = rule.location(request)
                if location is not None:
                    if self.options.keep_query and request.query:
                        joint = "&" if "?" in location else "?"
                        location += joint + quote(request.query, safe=_URL)
                    return location, rule.status
        return None, 0

    def _current(self) -> tuple[Rule, ...]:
        """Return the rules as they stand now; those of before if that fails."""
        if self._page is not None:
            rules = self._page.read()
            if rules is not None:
                self._rules = rules
        return self._rules

    def _reread(self, text: str) -> tuple[Rule, ...]:
        try:
            return self._own + self._read_rules(text)
        except ValueError as error:
            logger.error("%s; the rules of before stay", error)
            return self._rules

    def _read_rules(self, text: str) -> tuple[Rule, ...]:
        """Return the rules of a page, or raise ValueError with the line."""
        rules = []
        for item in items_of(text):
            if item.kind() == "RedirectRule":
                try:
                    rule = Rule.parse(
                        item.get("from"),
                        item.get("to"),
                        self._status(item.get("status")),
                        item.texts("on"),
                        ",".join(item.texts("conditions")),
                    )
                except ValueError as error:
                    place = f"{self.options.rules_file}:{item.line}"
                    raise ValueError(f"{place}: {error}") from None
                rules.append(rule)
        return tuple(rules)

    def _configured(self) -> tuple[Rule, ...]:
        """Return the rules among the options."""
        rows: dict[int, dict[str, str]] = {}
        for key, value in self.options.redirect_rule.items():
            match = _ROW.fullmatch(key.lower())
            if match is None:
                raise ValueError(f"redirect_rule_{key} is no part of a rule")
            rows.setdefault(int(match[1]), {})[match[2]] = value
        if self.options.sample_rules:
            last = max(rows, default=0)
            rows[last + 1] = {
                "pattern": "^/old-page$",
                "replacement": "/new-page",
                "status": "301",
            }
            rows[last + 2] = {
                "pattern": "^/api/v1/(.*)$",
                "replacement": "/api/v2/$1",
            }
        return tuple(
            Rule.parse(
                row.get("pattern", ""),
                row.get("replacement", ""),
                self._status(row.get("status", "")),
                (),
                row.get("condition", ""),
            )
            for _, row in sorted(rows.items())
        )

    def _status(self, text: str) -> str:
        known = text.isdecimal() and int(text) in STATUSES
        return text if known else str(self.options.default_status_code)
