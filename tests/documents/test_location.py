"""Locations: a request path in, a place inside the root or a refusal out."""

import os

import pytest

from beamfast.documents.location import Resolver, media_type
from beamfast.errors import AccessDenied, DocumentError, DocumentNotFound


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "site"
    (root / "dir").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.html").write_text("<p>root")
    (root / "dir" / "index.html").write_text("<p>dir")
    (root / "a.txt").write_text("text")
    (root / ".hidden.html").write_text("x")
    (root / ".beam").mkdir()
    (root / ".beam" / "journal").write_text("x")
    (tmp_path / "secret.html").write_text("secret")
    return root


@pytest.fixture
def resolve(root):
    return Resolver(str(root)).resolve


@pytest.mark.parametrize("path", ["/dir", "/dir/", "/dir/index.html", "//dir/./"])
def test_every_spelling_of_a_directory_is_its_index_file(resolve, root, path):
    location = resolve(path)
    assert location.key == "/dir/index.html"
    assert location.file == str(root / "dir" / "index.html")
    assert (location.exists, location.is_html, location.is_directory) == (
        True,
        True,
        False,
    )


def test_the_root_is_its_index_file(resolve):
    assert resolve("/").key == "/index.html"


def test_a_directory_without_index_says_so(resolve):
    for path in ("/empty", "/empty/"):
        location = resolve(path)
        assert location.key == "/empty/index.html"
        assert (location.exists, location.is_directory) == (False, True)


def test_missing_files_are_places_to_write_to(resolve, root):
    location = resolve("/new/deep/page.html")
    assert location.file == str(root / "new" / "deep" / "page.html")
    assert (location.exists, location.is_directory) == (False, False)
    assert resolve("/new/").key == "/new/index.html"
    assert not resolve("/new/").is_directory


def test_a_slash_behind_a_file_names_nothing(resolve):
    assert not resolve("/a.txt/").exists
    assert not resolve("/a.txt/b").exists


@pytest.mark.parametrize("path", ["/../secret.html", "/..", "/dir/../../secret.html"])
def test_paths_above_the_root_do_not_exist(resolve, path):
    with pytest.raises(DocumentNotFound):
        resolve(path)


@pytest.mark.parametrize("path", ["/a\0b", "/a\nb", "/\x7f", "a", "", "*", "/\ud800"])
def test_paths_that_no_file_can_have_are_refused(resolve, path):
    with pytest.raises(DocumentError) as caught:
        resolve(path)
    assert caught.value.status == 400


@pytest.mark.parametrize("path", ["/" + "a" * 256, "/a" * 2049, "/" + "é" * 128])
def test_names_that_are_too_long_do_not_exist(resolve, path):
    with pytest.raises(DocumentNotFound):
        resolve(path)


@pytest.mark.parametrize(
    "path",
    ["/.hidden.html", "/.git/config", "/.beam/journal", "/dir/.beam/x", "/.beamfast-1"],
)
def test_dot_files_do_not_exist(resolve, path):
    with pytest.raises(DocumentNotFound):
        resolve(path)


def test_dot_files_may_be_shown_but_never_the_servers_own(root):
    resolve = Resolver(str(root), hide_dotfiles=False).resolve
    assert resolve("/.hidden.html").exists
    for path in ("/.beam/journal", "/.beamfast-0123"):
        with pytest.raises(DocumentNotFound):
            resolve(path)


def test_links_inside_the_root_are_the_document_they_lead_to(resolve, root):
    (root / "link.html").symlink_to("index.html")
    (root / "folder").symlink_to("dir")
    assert resolve("/link.html").key == "/index.html"
    assert resolve("/folder").key == resolve("/folder/").key == "/dir/index.html"


@pytest.mark.parametrize("target", ["../secret.html", "../missing.html"])
def test_links_out_of_the_root_are_denied_even_to_nowhere(resolve, root, target):
    (root / "link.html").symlink_to(target)
    with pytest.raises(AccessDenied):
        resolve("/link.html")


def test_links_to_directories_outside_are_denied_with_all_that_is_in_them(
    resolve, root
):
    (root / "out").symlink_to("..")
    for path in ("/out", "/out/", "/out/secret.html", "/out/new/file.html"):
        with pytest.raises(AccessDenied):
            resolve(path)


def test_a_sibling_of_the_root_with_the_same_beginning_is_outside(resolve, root):
    (root.parent / "site2").mkdir()
    (root.parent / "site2" / "x.html").write_text("x")
    (root / "link").symlink_to("../site2")
    with pytest.raises(AccessDenied):
        resolve("/link/x.html")


def test_links_into_the_servers_state_do_not_exist(resolve, root):
    (root / "link").symlink_to(".beam")
    with pytest.raises(DocumentNotFound):
        resolve("/link/journal")


def test_links_in_a_circle_are_not_files(resolve, root):
    (root / "loop.html").symlink_to("loop.html")
    assert not resolve("/loop.html").exists


def test_pipes_are_denied(resolve, root):
    os.mkfifo(root / "pipe.html")
    with pytest.raises(AccessDenied):
        resolve("/pipe.html")


def test_the_index_file_can_have_another_name(root):
    (root / "dir" / "home.htm").write_text("x")
    resolve = Resolver(str(root), index_file="home.htm").resolve
    assert resolve("/dir").key == "/dir/home.htm"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.HTM", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "application/javascript; charset=utf-8"),
        ("a.mjs", "application/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.gif", "image/gif"),
        ("a.svg", "image/svg+xml"),
        ("a.xml", "application/xml"),
        ("a.pdf", "application/pdf"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("a.", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_extension(name, expected):
    assert media_type(name, "utf-8") == expected
    assert media_type(name, "none") == expected.partition(";")[0]


def test_a_directory_that_may_not_be_searched_is_denied(resolve, monkeypatch):
    def deny(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", deny)
    with pytest.raises(AccessDenied):
        resolve("/dir")
