"""Rules in front of documents: what passes, what is refused, what OPTIONS says."""

import base64

import pytest

from beamfast.server.config import PluginConfig

RULE = "https://rustybeam.net/schema/AuthorizationRule"
CREDENTIAL = "https://rustybeam.net/schema/Credential"


def rule(subject: str, method: str, path: str, selector="", action="allow") -> str:
    parts = {"username": subject, "method": method, "path": path, "action": action}
    if selector:
        parts["selector"] = selector
    spans = "".join(f"<i itemprop={name}>{text}</i>" for name, text in parts.items())
    return f'<p itemscope itemtype="{RULE}">{spans}</p>'


USERS = "".join(
    f'<p itemscope itemtype="{CREDENTIAL}"><i itemprop=username>{name}</i>'
    f"<i itemprop=password>pw</i><i itemprop=role>{role}</i></p>"
    for name, role in [("ann", "editor"), ("eve", "reader"), ("&lt;b&gt;", "reader")]
)


@pytest.fixture
def policy(root):
    file = root / "policy.html"

    def write(*rules: str):
        file.write_text(f"<!DOCTYPE html><body>{USERS}{''.join(rules)}</body>")
        return file

    return write


@pytest.fixture
def guarded(make_site, policy):
    def make(*rules: str):
        file = str(policy(*rules))
        return make_site(
            PluginConfig("basic-auth", {"authfile": file, "anonymous": "allow"}),
            PluginConfig("authorization", {"authfile": file}),
            PluginConfig("websocket"),
            PluginConfig("eventsource"),
            PluginConfig("selector-handler"),
            PluginConfig("file-handler"),
        )

    return make


def as_user(name: str) -> dict[str, str]:
    value = base64.b64encode(f"{name}:pw".encode()).decode()
    return {"Authorization": f"Basic {value}"}


async def test_without_a_rule_everything_is_403(guarded):
    site = guarded()
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        answer = await site.ask(method, "/page.html", b"x")
        assert answer.status == 403
        assert b"does not have permission" in answer.body


async def test_the_refusal_escapes_what_it_repeats(guarded):
    answer = await guarded().ask("GET", "/<i>.html", **as_user("<b>"))
    assert b"<b>" not in answer.body
    assert b"<i>" not in answer.body
    assert b"&lt;b&gt;" in answer.body


async def test_a_role_of_the_page_allows(guarded):
    site = guarded(rule("*", "GET", "/*"), rule("editor", "PUT", "/*", "h1"))
    content = b"<h1>new</h1>"
    assert (await site.ask("GET", "/page.html")).status == 200
    for fields, status in [({}, 403), (as_user("eve"), 403), (as_user("ann"), 206)]:
        answer = await site.ask("PUT", "/page.html", content, "h1", **fields)
        assert answer.status == status
    whole = await site.ask("PUT", "/page.html", b"x", **as_user("ann"))
    assert whole.status == 403


@pytest.mark.parametrize(
    "target", ["/admin/x.html", "//admin/x.html", "/%61dmin/x.html", "/./admin/x.html"]
)
async def test_every_spelling_of_a_path_is_judged_alike(guarded, target):
    site = guarded(rule("*", "GET", "/*"), rule("*", "GET", "/admin/*", action="deny"))
    (site.root / "admin").mkdir()
    (site.root / "admin" / "x.html").write_text("secret")
    assert (await site.ask("GET", target)).status == 403


async def test_sockets_and_streams_need_what_a_get_needs(guarded):
    site = guarded(rule("ann", "GET", "/*"))
    shake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec_WebSocket_Version": "13",
    }
    stream = {"Accept": "text/event-stream"}
    assert (await site.ask("GET", "/page.html", **shake)).status == 403
    assert (await site.ask("GET", "/page.html", **stream)).status == 403
    ann = as_user("ann")
    assert (await site.ask("GET", "/page.html", **shake, **ann)).status == 101
    assert (await site.ask("GET", "/page.html", **stream, **ann)).stream is not None


async def test_options_lists_what_the_caller_may_do(guarded):
    site = guarded(rule("*", "GET", "/*"), rule("editor", "PUT,DELETE", "/*", "h1"))
    whole = await site.ask("OPTIONS", "/page.html")
    assert whole.headers["Allow"] == "GET, OPTIONS"
    assert whole.headers["Accept-Ranges"] == "selector"
    assert whole.body == b""
    for fields, allowed in [({}, "OPTIONS"), (as_user("ann"), "DELETE, OPTIONS, PUT")]:
        answer = await site.ask("OPTIONS", "/page.html", selector="h1", **fields)
        assert answer.headers["Allow"] == allowed
    assert (await site.ask("OPTIONS", "/missing")).headers["Allow"] == "GET, OPTIONS"


async def test_a_page_that_cannot_be_read_allows_nothing(guarded, policy):
    site = guarded(rule("*", "GET", "/*"))
    assert (await site.ask("GET", "/notes.txt")).status == 200
    (site.root / "policy.html").unlink()
    assert (await site.ask("GET", "/notes.txt")).status == 403
    assert (await site.ask("OPTIONS", "/notes.txt")).headers["Allow"] == "OPTIONS"


async def test_a_rule_added_through_the_server_counts_for_the_next_request(guarded):
    site = guarded(rule("ann", "POST", "/policy.html", "body"))
    assert (await site.ask("GET", "/notes.txt")).status == 403
    added = rule("*", "GET", "/notes.txt").encode()
    posted = await site.ask("POST", "/policy.html", added, "body", **as_user("ann"))
    assert posted.status == 206
    assert (await site.ask("GET", "/notes.txt")).status == 200


@pytest.mark.parametrize("value", ["selector=", "selector=p,", "selector=#\xff"])
async def test_a_selector_that_cannot_be_read_is_no_permission_for_the_file(
    guarded, value
):
    site = guarded(rule("*", "PUT", "/*"))
    answer = await site.ask("PUT", "/page.html", b"x", Range=value)
    assert answer.status == 403
    assert b"<title>Notes</title>" in site.read("page.html")


async def test_a_preflight_is_left_to_others(guarded):
    answer = await guarded().ask(
        "OPTIONS", "/page.html", Access_Control_Request_Method="PUT"
    )
    assert "DELETE" in answer.headers["Allow"]


async def test_what_lies_in_a_template_is_judged_like_anything_else(guarded):
    site = guarded(rule("*", "*", "/page.html", "#main"))
    page = site.root / "page.html"
    page.write_bytes(b"<div id=main></div><template><p>x</p></template>")
    fields = {"selector": "p", "Beam_Scope": "template"}
    assert (await site.ask("DELETE", "/page.html", **fields)).status == 403
    assert (await site.ask("GET", "/page.html", Range="xpath=//*[@id]")).status == 206
    assert (await site.ask("GET", "/page.html", Range="xpath=//body")).status == 403


async def test_a_patch_needs_a_rule_for_the_whole_document(guarded):
    body = b'[{"op": "delete", "selector": "#main"}]'
    fields = {"Content_Type": "application/beam-patch+json"}
    site = guarded(rule("*", "*", "/page.html", "*"))
    assert (await site.ask("PATCH", "/page.html", body, **fields)).status == 403
    site = guarded(rule("*", "PATCH", "/page.html"))
    assert (await site.ask("PATCH", "/page.html", body, **fields)).status == 200


async def test_mistakes_in_the_page_are_told_with_their_lines(
    make_site, tmp_path, caplog
):
    page = tmp_path / "rules.html"
    page.write_text(
        "<!DOCTYPE html>\n<p itemscope itemtype='https://rustybeam.net/schema/"
        "AuthorizationRule'>\n<b itemprop=role>*</b><b itemprop=path>/*</b>"
    )
    site = make_site(PluginConfig("authorization", {"authfile": page}))
    assert (await site.ask("GET", "/page.html")).status == 403
    assert f"{page}, line 2: AuthorizationRule without method" in caplog.text
