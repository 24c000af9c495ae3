"""The store: snapshots that follow the files, inside a budget."""

import os

import pytest

from beamfast.documents import store as module
from beamfast.documents.document import Document
from beamfast.documents.selector import Selector
from beamfast.documents.store import FOUND_SECONDS, SMALL_FILE, DocumentStore
from beamfast.entry import Version
from beamfast.errors import AccessDenied, DocumentNotFound, EditConflict, TooLarge


@pytest.fixture
def root(tmp_path):
    (tmp_path / "page.html").write_bytes(b"<p>old")
    (tmp_path / "a.txt").write_bytes(b"text")
    return tmp_path


@pytest.fixture
def store(root):
    return DocumentStore(root)


def age(path):
    """Make a file old enough for its stamp to be trusted."""
    os.utime(path, (1_000_000_000, 1_000_000_000))


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only item is the time."""
    seconds = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_path_is_followed_once_a_second(store, root, clock):
    (root / "link.html").symlink_to("page.html")
    assert store.find("/link.html").key == "/page.html"
    (root / "link.html").unlink()
    (root / "link.html").symlink_to("a.txt")
    clock[0] += 0.9 * FOUND_SECONDS
    assert store.find("/link.html").key == "/page.html"
    clock[0] += 0.1 * FOUND_SECONDS
    assert store.find("/link.html").key == "/a.txt"


def test_a_path_that_leads_nowhere_is_followed_each_time(store, root, clock):
    assert not store.find("/new.html").exists
    (root / "new.html").write_bytes(b"<p>new")
    assert store.find("/new.html").exists


def test_a_file_that_is_gone_is_found_no_more(store, root, clock):
    store.load(store.find("/page.html"))
    (root / "page.html").unlink()
    with pytest.raises(DocumentNotFound):
        store.load(store.find("/page.html"))
    assert not store.find("/page.html").exists


def test_a_number_of_paths_is_remembered(store, monkeypatch, clock):
    monkeypatch.setattr(module, "FOUND_PATHS", 2)
    first = store.find("/page.html")
    assert store.find("/page.html") is first
    store.find("/a.txt")
    store.find("/./a.txt")
    assert store.find("/page.html") is not first


def test_a_document_is_read_once(store, root):
    age(root / "page.html")
    location = store.resolve("/page.html")
    document = store.load(location)
    assert document.source == b"<p>old"
    assert document.version == Version.of_file(b"<p>old")
    assert store.load(location) is document


def test_a_hand_edit_is_noticed_as_revision_zero(store, root):
    location = store.resolve("/page.html")
    store.load(location)
    (root / "page.html").write_bytes(b"<p>longer")
    assert store.load(location).source == b"<p>longer"
    assert store.load(location).version == Version.of_file(b"<p>longer")


def test_a_hand_edit_of_the_same_size_in_the_same_tick_is_noticed(store, root):
    location = store.resolve("/page.html")
    stamp = store.write(location, b"<p>one")
    store.put(location, Document(b"<p>one", Version(1, "a" * 16)), stamp)
    assert store.load(location).version.revision == 1
    with (root / "page.html").open("r+b") as stream:
        stream.write(b"<p>two")
    os.utime(root / "page.html", ns=(stamp.mtime_ns, stamp.mtime_ns))
    assert store.load(location).source == b"<p>two"


def test_a_file_replaced_by_another_is_noticed(store, root):
    age(root / "page.html")
    location = store.resolve("/page.html")
    store.load(location)
    (root / "other").write_bytes(b"<p>new")
    age(root / "other")
    (root / "other").rename(root / "page.html")
    assert store.load(location).source == b"<p>new"


def test_a_removed_file_is_not_found(store, root):
    location = store.resolve("/page.html")
    store.load(location)
    (root / "page.html").unlink()
    with pytest.raises(DocumentNotFound):
        store.load(location)
    with pytest.raises(DocumentNotFound):
        store.read(location)


def test_the_snapshot_that_was_put_is_the_one_that_is_loaded(store):
    location = store.resolve("/page.html")
    document = Document(b"<p>new", Version(1, "a" * 16))
    store.put(location, document, store.write(location, b"<p>new"))
    assert store.load(location) is document
    store.forget(location)
    assert store.load(location).version == Version.of_file(b"<p>new")


def test_restamping_gives_known_bytes_their_version(store):
    location = store.resolve("/page.html")
    version = Version(7, "b" * 16)
    assert store.restamp(location, version).version == version
    assert store.load(location).version == version
    assert store.load(location).source == b"<p>old"


def test_reading_gives_bytes_and_stamp_of_any_file(store, root):
    data, stamp = store.read(store.resolve("/a.txt"))
    assert (data, stamp.size) == (b"text", 4)
    assert store.read(store.resolve("/a.txt")) == (data, stamp)
    assert store.read(store.resolve("/page.html"))[0] == b"<p>old"


def test_only_small_files_that_are_not_html_are_kept(root):
    store = DocumentStore(root, cache_budget=10**9)
    for size, kept in ((SMALL_FILE, True), (SMALL_FILE + 1, False)):
        (root / "b.bin").write_bytes(bytes(size))
        age(root / "b.bin")
        location = store.resolve("/b.bin")
        assert (store.read(location)[0] is store.read(location)[0]) is kept


def test_large_documents_are_served_and_not_edited(root):
    store = DocumentStore(root, edit_limit=5)
    location = store.resolve("/page.html")
    document = store.load(location)
    with pytest.raises(TooLarge) as caught:
        store.require_editable(location, document)
    assert (caught.value.status, caught.value.code) == (413, "document-too-large")
    DocumentStore(root).require_editable(location, document)


def test_files_and_directories_are_removed(store, root):
    store.remove(store.resolve("/page.html"))
    assert not (root / "page.html").exists()
    (root / "dir").mkdir()
    (root / "dir" / "x").write_bytes(b"")
    with pytest.raises(EditConflict):
        store.remove_directory(store.resolve("/dir"))
    (root / "dir" / "x").unlink()
    store.remove_directory(store.resolve("/dir/"))
    assert not (root / "dir").exists()


def test_the_root_itself_is_never_removed(tmp_path):
    store = DocumentStore(tmp_path)
    with pytest.raises(AccessDenied):
        store.remove_directory(store.resolve("/"))


def test_stale_files_vanish(store, root):
    (root / ".beamfast-0").write_bytes(b"half")
    assert store.remove_stale_files() == 1
    assert sorted(found.name for found in root.iterdir()) == ["a.txt", "page.html"]


def test_the_options_reach_the_resolver(tmp_path):
    (tmp_path / ".x").mkdir()
    (tmp_path / ".x" / "home.html").write_bytes(b"")
    store = DocumentStore(
        tmp_path, hide_dotfiles=False, index_file="home.html", charset="none"
    )
    location = store.resolve("/.x/")
    assert (location.key, location.media_type) == ("/.x/home.html", "text/html")


def pages(root, count, size):
    for nth in range(count):
        (root / f"{nth}.html").write_bytes(b"<p>" + b"x" * (size - 3))
        age(root / f"{nth}.html")


def test_the_cache_keeps_inside_its_budget(tmp_path):
    pages(tmp_path, 40, 1000)
    store = DocumentStore(tmp_path, cache_budget=10_000)
    documents = [store.load(store.resolve(f"/{nth}.html")) for nth in range(40)]
    again = [store.load(store.resolve(f"/{nth}.html")) for nth in range(39, 29, -1)]
    assert again == documents[:29:-1]
    assert store.load(store.resolve("/29.html")) is not documents[29]


def test_trees_go_before_bytes_and_the_oldest_first(tmp_path):
    pages(tmp_path, 4, 1000)
    store = DocumentStore(tmp_path, cache_budget=26_000)
    locations = [store.resolve(f"/{nth}.html") for nth in range(4)]
    documents = []
    for location in locations:
        documents.append(store.load(location))
        assert documents[-1].html
    store.load(locations[3])
    assert [document.has_tree for document in documents] == [False, False, True, True]
    assert all(
        store.load(location) is document
        for location, document in zip(locations, documents, strict=True)
    )


def test_a_document_over_the_whole_budget_is_kept_while_it_is_the_newest(tmp_path):
    pages(tmp_path, 2, 5000)
    store = DocumentStore(tmp_path, cache_budget=1000)
    first, second = (store.resolve(f"/{nth}.html") for nth in range(2))
    document = store.load(first)
    assert document.select(Selector("p"))
    assert store.load(first) is document
    store.load(second)
    assert store.load(first) is not document


def test_a_link_is_written_through_and_stays_a_link(store, root):
    (root / "link.html").symlink_to("page.html")
    location = store.resolve("/link.html")
    assert location.key == store.resolve("/page.html").key
    store.write(location, b"<p>new")
    assert (root / "link.html").is_symlink()
    assert (root / "page.html").read_bytes() == b"<p>new"


def test_a_stamp_is_taken_without_reading(store, root):
    location = store.resolve("/a.txt")
    assert store.stamp(location) == store.read(location)[1]
    (root / "a.txt").unlink()
    with pytest.raises(DocumentNotFound):
        store.stamp(location)


def test_a_file_can_be_read_piece_by_piece(store):
    stream, stamp = store.open(store.resolve("/a.txt"))
    with stream:
        assert (stream.read(2), stream.read()) == (b"te", b"xt")
    assert stamp.size == 4
