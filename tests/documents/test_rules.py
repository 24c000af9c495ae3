"""Which rule decides: subjects, paths, selectors, methods, and their ranks."""

import pytest
from hypothesis import given, strategies as st

from beamfast.documents.document import Document
from beamfast.documents.rules import Caller, Question, Rule, Rules
from beamfast.documents.selector import Selector

ANYBODY = Caller(None)
ANN = Caller("ann", frozenset({"editor"}))
BOB = Caller("bob")
PAGE = Document(
    b"<h1 class=title>x</h1><div class=private><p id=a>1</p></div><p id=b>2</p>"
    b"<li data-by=ann>a</li><li data-by=bob>b</li>"
)


def rules(*written: str) -> Rules:
    """Each rule as ``subject methods path [selector] action``."""
    found = []
    for text in written:
        subject, methods, path, *rest, action = text.split("|")
        names = frozenset(methods.split(","))
        selector = rest[0] if rest else ""
        found.append(Rule(subject, path, names, selector, action == "allow"))
    return Rules(found)


def asked(method="GET", path="/x", selector=None, document=PAGE) -> Question:
    if selector is None:
        return Question(method, path)
    return Question(method, path, Selector.parse(selector), document)


def test_without_a_rule_the_answer_is_no():
    assert not Rules().allow(ANN, asked())


def test_user_beats_own_name_beats_role_beats_everyone():
    for allowed, denied in [
        ("ann", ":username"),
        (":username", "editor"),
        ("editor", "*"),
    ]:
        for first, second in [("allow", "deny"), ("deny", "allow")]:
            found = rules(f"{allowed}|GET|*|{first}", f"{denied}|GET|*|{second}")
            assert found.allow(ANN, asked()) is (first == "allow")


def test_own_name_is_never_anonymous():
    assert not rules(":username|GET|*|allow").allow(ANYBODY, asked())
    assert rules(":username|GET|*|allow").allow(BOB, asked())


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*", "/any/where", True),
        ("/*", "/", True),
        ("/*", "/a/b", True),
        ("/admin/*", "/admin", True),
        ("/admin/*", "/admin/", True),
        ("/admin/*", "/admin/x/y", True),
        ("/admin/*", "/administrator.html", False),
        ("/a.html", "/a.html", True),
        ("/a.html", "/b.html", False),
        ("/u/:id", "/u/7", True),
        ("/u/:id", "/u/7/x", False),
        ("/u/:id", "/u/", False),
        ("/u/:username/*", "/u/ann/x", True),
        ("/u/:username/*", "/u/bob/x", False),
    ],
)
def test_paths(pattern, path, matches):
    assert rules(f"*|GET|{pattern}|allow").allow(ANN, asked(path=path)) is matches


def test_an_own_path_is_closed_to_anonymous():
    found = rules("*|GET|/u/:username/*|allow")
    assert not found.allow(ANYBODY, asked(path="/u/ann/x"))


def test_the_more_specific_path_decides_whatever_the_order():
    for order in (1, -1):
        written = ["*|GET|/*|allow", "*|GET|/admin/*|deny", "*|GET|/admin/ok|allow"]
        found = rules(*written[::order])
        assert found.allow(ANN, asked(path="/x"))
        assert not found.allow(ANN, asked(path="/admin/x"))
        assert found.allow(ANN, asked(path="/admin/ok"))


def test_among_equals_deny_beats_allow_beats_nothing():
    assert not rules("*|GET|*|allow", "*|GET|*|deny").allow(ANN, asked())
    assert not rules("*|GET|*|deny", "*|GET|*|allow").allow(ANN, asked())


def test_files_and_elements_have_rules_of_their_own():
    assert not rules("*|GET|*|h1|allow").allow(ANN, asked())
    assert not rules("*|GET|*|allow").allow(ANN, asked(selector="h1"))


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        ("h1", "h1.title", True),
        ("h1", "h1:first-child", True),
        ("h1", "div", False),
        ("h1", "h1, p", False),
        ("p", ".private p", True),
        (".private", ".private p", False),
        ("*", "div", True),
        ("h1", "h6", True),
        ("h1,,", "h1", False),
    ],
)
def test_a_selector_is_allowed_when_all_it_matches_is(rule, wanted, allowed):
    found = rules(f"*|PUT|*|{rule}|allow")
    assert found.allow(ANN, asked("PUT", selector=wanted)) is allowed


def test_two_rules_do_not_add_up():
    found = rules("*|PUT|*|h1|allow", "*|PUT|*|p|allow")
    assert not found.allow(ANN, asked("PUT", selector="h1, p"))


def test_a_literal_selector_beats_the_star():
    found = rules("*|PUT|*|*|allow", "*|PUT|*|h1|deny")
    assert not found.allow(ANN, asked("PUT", selector="h1"))
    assert found.allow(ANN, asked("PUT", selector="p"))


def test_without_a_document_the_texts_are_compared():
    found = rules("*|PUT|*|h1|allow")
    assert found.allow(ANN, asked("PUT", selector="h1", document=None))
    assert not found.allow(ANN, asked("PUT", selector="h1.title", document=None))
    assert not found.allow(ANN, asked("PUT", selector="h2", document=Document(b"")))


def test_the_own_name_in_a_selector():
    found = rules("*|DELETE|*|[data-by='${ username }']|allow")
    assert found.allow(ANN, asked("DELETE", selector="li:nth-of-type(1)"))
    assert not found.allow(BOB, asked("DELETE", selector="li:nth-of-type(1)"))
    assert not found.allow(ANYBODY, asked("DELETE", selector="h6"))
    quoted = Caller("x'], li, ['")
    assert not found.allow(quoted, asked("DELETE", selector="li"))


def test_methods_lists_stars_and_head():
    assert rules("*|*|*|allow").allow(ANN, asked("PATCH"))
    assert rules("*|PUT,POST|*|allow").allow(ANN, asked("POST"))
    assert rules("*|GET|*|allow").allow(ANN, asked("HEAD"))
    found = rules("*|GET|*|allow", "bob|HEAD|*|allow")
    assert not found.allow(ANN, asked("HEAD"))
    assert found.allow(BOB, asked("HEAD"))


def test_the_allowed_methods_in_order():
    found = rules("*|GET|*|allow", "editor|PUT,DELETE|*|allow")
    assert found.methods(ANYBODY, asked()) == ["GET"]
    assert found.methods(ANN, asked()) == ["DELETE", "GET", "PUT"]


def test_rules_of_a_page():
    found = Rules.parse(
        """
        <table><tr itemscope itemtype="http://rustybeam.net/AuthorizationRule">
        <td itemprop=username>{username}<td itemprop=path>/u/{username}/*
        <td><i itemprop=method>put, Post</i><td><select itemprop=action>
        <option>deny<option selected>Allow</select></table>
        <p itemscope itemtype="https://rustybeam.net/schema/AuthorizationRule">
        <i itemprop=path>/*</i><i itemprop=method>GET</i><i itemprop=method>PUT</i></p>
        <p itemscope itemtype="https://rustybeam.net/schema/AuthorizationRule">
        <i itemprop=role>editor</i><i itemprop=path>/*</i></p>
        """
    )
    assert found.rules == (
        Rule(":username", "/u/:username/*", frozenset({"PUT", "POST"}), "", True),
        Rule("*", "/*", frozenset({"GET", "PUT"}), "", False),
    )


RULE = st.builds(
    Rule,
    st.sampled_from(["*", "ann", "bob", "editor", ":username"]),
    st.sampled_from(["*", "/*", "/x", "/x/*", "/:a", "/:username"]),
    st.sampled_from([frozenset({"GET"}), frozenset({"*"}), frozenset({"PUT"})]),
    st.sampled_from(["", "*", "h1", "p"]),
    st.booleans(),
)


# A busy machine is no fault of the rules.
@given(st.lists(RULE, max_size=8), RULE, st.integers(0, 8))
def test_a_further_deny_rule_never_widens_access(written, extra, place):
    deny = Rule(extra.subject, extra.path, extra.methods, extra.selector, allows=False)
    before = Rules(written)
    after = Rules([*written[:place], deny, *written[place:]])
    for caller in (ANYBODY, ANN, BOB):
        for question in (asked(), asked("PUT", selector="h1"), asked(path="/ann")):
            if after.allow(caller, question):
                assert before.allow(caller, question)


def test_a_rule_that_says_nobody_may_count_for_nobody():
    text = (
        "<p itemscope itemtype='https://rustybeam.net/schema/AuthorizationRule'>"
        "<b itemprop=path>/*</b><b itemprop=method>GET</b><b itemprop=action>allow</b>"
    )
    assert len(Rules.parse(text).rules) == 1
    assert Rules.parse(text, require_subject=True).rules == ()
