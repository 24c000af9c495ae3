"""Whole documents: what GET, HEAD, PUT, POST, DELETE and OPTIONS answer."""

import asyncio

import pytest

from beamfast.errors import StorageError
from beamfast.server.config import PluginConfig


async def test_get_returns_the_exact_bytes_with_type_and_validator(site):
    answer = await site.ask("GET", "/page.html")
    assert answer.status == 200
    assert answer.body == site.read("page.html")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["ETag"].startswith('"0-')
    assert answer.headers["Accept-Ranges"] == "selector"


async def test_the_forms_of_a_folder_name_the_same_document(site):
    (site.root / "dir").mkdir()
    (site.root / "dir" / "index.html").write_bytes(b"<p>index")
    for target in ("/dir", "/dir/", "/dir/index.html", "/dir/index.html?x=1"):
        assert (await site.ask("GET", target)).body == b"<p>index"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "application/javascript; charset=utf-8"),
        ("a.mjs", "application/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.gif", "image/gif"),
        ("a.svg", "image/svg+xml"),
        ("a.htm", "text/html; charset=utf-8"),
        ("a.unknown", "application/octet-stream"),
    ],
)
async def test_the_media_type_follows_the_extension(site, name, media_type):
    (site.root / name).write_bytes(b"x")
    answer = await site.ask("GET", f"/{name}")
    assert answer.headers["Content-Type"].replace(", ", "; ") == media_type


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_a_missing_file_is_404(site, method):
    answer = await site.ask(method, "/missing.html")
    assert (answer.status, answer.body) == (404, b"File not found")


@pytest.mark.parametrize("target", ["/../README.md", "/%2e%2e/x", "/a/../../x"])
async def test_a_path_above_the_root_is_never_content(site, target):
    (site.root.parent / "x").write_bytes(b"secret")
    answer = await site.ask("GET", target)
    assert answer.status in (403, 404)
    assert b"secret" not in answer.body


async def test_a_symlink_that_leaves_the_root_is_refused_both_ways(site):
    outside = site.root.parent / "outside.html"
    outside.write_bytes(b"<p id=p>secret")
    (site.root / "link.html").symlink_to(outside)
    for method in ("GET", "PUT", "POST", "DELETE"):
        assert (await site.ask(method, "/link.html", b"new")).status == 403
    assert (await site.ask("PUT", "/link.html", b"<p>", "p")).status == 403
    assert outside.read_bytes() == b"<p id=p>secret"


async def test_dot_files_do_not_exist(site):
    (site.root / ".secret").write_bytes(b"x")
    assert (await site.ask("GET", "/.secret")).status == 404
    (site.root / ".beam").mkdir()
    (site.root / ".beam" / "journal.db").write_bytes(b"x")
    assert (await site.ask("GET", "/.beam/journal.db")).status == 404


async def test_put_creates_with_201_and_replaces_with_200(site):
    for expected in (201, 200):
        answer = await site.ask("PUT", "/new.html", b"<p>new")
        assert answer.status == expected
        assert answer.body == b"File uploaded successfully"
        assert site.read("new.html") == b"<p>new"


async def test_put_creates_the_folders_above_the_file(site):
    assert (await site.ask("PUT", "/a/b/c.html", b"<p>x")).status == 201
    assert site.read("a/b/c.html") == b"<p>x"
    assert (await site.ask("PUT", "/newdir/", b"<p>y")).status == 201
    assert site.read("newdir/index.html") == b"<p>y"


@pytest.mark.parametrize("name", ["page.html", "notes.txt"])
async def test_post_appends_and_creates(site, name):
    before = site.read(name)
    for target in (name, f"new-{name}"):
        answer = await site.ask("POST", f"/{target}", b"<p>more")
        assert answer.status == 200
        assert answer.body == b"Content appended successfully"
    assert site.read(name) == before + b"<p>more"
    assert site.read(f"new-{name}") == b"<p>more"


async def test_post_with_a_file_name_to_a_folder_creates_the_file(site):
    answer = await site.ask("POST", "/", b"abc", X_Filename="up.txt")
    assert answer.status == 201
    assert site.read("up.txt") == b"abc"
    answer = await site.ask("POST", "/", b"abc", X_Filename="../up.txt")
    assert answer.status == 400


@pytest.mark.parametrize("name", ["page.html", "notes.txt"])
async def test_delete_removes_the_file_once(site, name):
    answer = await site.ask("DELETE", f"/{name}")
    assert (answer.status, answer.body) == (204, b"")
    assert not (site.root / name).exists()
    assert (await site.ask("DELETE", f"/{name}")).status == 404


async def test_delete_removes_an_empty_folder_and_refuses_another(site):
    (site.root / "empty").mkdir()
    (site.root / "full").mkdir()
    (site.root / "full" / "a.txt").write_bytes(b"x")
    assert (await site.ask("DELETE", "/empty/")).status == 204
    assert not (site.root / "empty").exists()
    assert (await site.ask("DELETE", "/full/")).status == 409


async def test_options_names_the_methods_even_for_a_missing_file(site):
    answer = await site.ask("OPTIONS", "/missing.html")
    assert answer.status == 200
    assert answer.headers["Accept-Ranges"] == "selector"
    allowed = set(answer.headers["Allow"].split(", "))
    assert allowed == {"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD"}


async def test_patch_is_405_with_the_allowed_methods(site):
    answer = await site.ask("PATCH", "/page.html", b"x")
    assert (answer.status, answer.body) == (405, b"Method not allowed")
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"):
        assert method in answer.headers["Allow"]


async def test_bare_media_types_on_request(make_site):
    site = make_site(PluginConfig("file-handler", {"charset": "none"}))
    for name, media_type in (("page.html", "text/html"), ("notes.txt", "text/plain")):
        answer = await site.ask("GET", f"/{name}")
        assert answer.headers["Content-Type"] == media_type


class TestLargeFiles:
    SIZE = 3 * 2**20 + 17

    @pytest.fixture
    def content(self, site):
        content = bytes(range(256)) * (self.SIZE // 256 + 1)
        (site.root / "large.bin").write_bytes(content[: self.SIZE])
        return content[: self.SIZE]

    async def test_come_in_pieces(self, site, content):
        answer = await site.ask("GET", "/large.bin")
        assert answer.headers["Content-Length"] == str(self.SIZE)
        pieces = [piece async for piece in answer.body]
        assert len(pieces) > 1
        assert b"".join(pieces) == content

    async def test_have_byte_ranges(self, site, content):
        answer = await site.ask("GET", "/large.bin", Range="bytes=1000000-2000000")
        assert answer.status == 206
        assert answer.headers["Content-Length"] == "1000001"
        pieces = [piece async for piece in answer.body]
        assert b"".join(pieces) == content[1000000:2000001]

    async def test_that_change_before_they_are_sent_break_off(self, site, content):
        answer = await site.ask("GET", "/large.bin")
        (site.root / "large.bin").write_bytes(b"x" * 2**21)
        with pytest.raises(StorageError, match="changed"):
            [piece async for piece in answer.body]

    async def test_are_not_opened_for_a_head(self, site, content):
        answer = await site.ask("HEAD", "/large.bin")
        assert answer.headers["Content-Length"] == str(self.SIZE)


class TestByteRanges:
    @pytest.mark.parametrize(
        ("value", "status", "body", "content_range"),
        [
            ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
            ("bytes=7-", 206, b"789", "bytes 7-9/10"),
            ("bytes=-3", 206, b"789", "bytes 7-9/10"),
            ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
            ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
            ("bytes=10-", 416, None, "bytes */10"),
            ("bytes=-0", 416, None, "bytes */10"),
            ("bytes=4-2", 200, b"0123456789", None),
            ("bytes=0-1,3-4", 200, b"0123456789", None),
            ("lines=0-1", 200, b"0123456789", None),
            ("invalid-format", 200, b"0123456789", None),
        ],
    )
    async def test_of_a_file_that_is_not_html(
        self, site, value, status, body, content_range
    ):
        answer = await site.ask("GET", "/notes.txt", Range=value)
        assert answer.status == status
        assert answer.headers.get("Content-Range") == content_range
        if body is not None:
            assert answer.body == body

    @pytest.mark.parametrize("value", ["bytes=0-10", "invalid-format"])
    async def test_are_ignored_on_html(self, site, value):
        answer = await site.ask("GET", "/page.html", Range=value)
        assert (answer.status, answer.body) == (200, site.read("page.html"))

    async def test_can_be_switched_off(self, make_site):
        site = make_site(PluginConfig("file-handler", {"byte_ranges": False}))
        answer = await site.ask("GET", "/notes.txt", Range="bytes=0-1")
        assert answer.status == 200
        assert "Accept-Ranges" not in answer.headers

    async def test_if_range_must_name_the_present_file(self, site):
        etag = (await site.ask("GET", "/notes.txt")).headers["ETag"]
        good = await site.ask("GET", "/notes.txt", Range="bytes=0-1", If_Range=etag)
        assert good.status == 206
        old = await site.ask("GET", "/notes.txt", Range="bytes=0-1", If_Range='"x"')
        assert old.status == 200


class TestConditions:
    @pytest.mark.parametrize("name", ["page.html", "notes.txt"])
    async def test_if_none_match_answers_304(self, site, name):
        etag = (await site.ask("GET", f"/{name}")).headers["ETag"]
        answer = await site.ask("GET", f"/{name}", If_None_Match=etag)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == etag
        answer = await site.ask("GET", f"/{name}", If_None_Match='"other"')
        assert answer.status == 200

    async def test_if_modified_since_answers_304(self, site):
        modified = (await site.ask("GET", "/notes.txt")).headers["Last-Modified"]
        answer = await site.ask("GET", "/notes.txt", If_Modified_Since=modified)
        assert answer.status == 304

    @pytest.mark.parametrize("name", ["page.html", "notes.txt"])
    async def test_if_match_guards_a_put(self, site, name):
        etag = (await site.ask("GET", f"/{name}")).headers["ETag"]
        answer = await site.ask("PUT", f"/{name}", b"<p>1", If_Match=etag)
        assert answer.status == 200
        answer = await site.ask("PUT", f"/{name}", b"<p>2", If_Match=etag)
        assert answer.status == 412
        assert site.read(name) == b"<p>1"

    @pytest.mark.parametrize("name", ["fresh.html", "fresh.txt"])
    async def test_if_none_match_star_creates_only(self, site, name):
        first = await site.ask("PUT", f"/{name}", b"1", If_None_Match="*")
        assert first.status == 201
        second = await site.ask("PUT", f"/{name}", b"2", If_None_Match="*")
        assert second.status == 412


async def test_a_version_continues_after_removal_and_re_creation(site):
    await site.ask("PUT", "/page.html", b"<p>1")
    await site.ask("DELETE", "/page.html")
    answer = await site.ask("PUT", "/page.html", b"<p>3")
    assert answer.status == 201
    assert answer.headers["ETag"].startswith('"3-')


async def test_a_change_by_hand_is_served_at_once(site):
    await site.ask("PUT", "/page.html", b"<p id=a>1")
    (site.root / "page.html").write_bytes(b"<p id=a>by hand")
    answer = await site.ask("GET", "/page.html")
    assert answer.body == b"<p id=a>by hand"
    assert answer.headers["ETag"].startswith('"2-')
    answer = await site.ask("PUT", "/page.html", b"<p id=a>2", "#a")
    assert answer.headers["ETag"].startswith('"3-')


async def test_readers_never_see_a_cut_file(site):
    bodies = {site.read("page.html")}
    bodies |= {b"<p>" + b"%d" % number * 9999 for number in range(20)}

    async def write() -> None:
        for body in sorted(bodies):
            await site.ask("PUT", "/page.html", body)

    async def read() -> None:
        for _ in range(200):
            assert (await site.ask("GET", "/page.html")).body in bodies
            await asyncio.sleep(0)

    await asyncio.gather(write(), read())
