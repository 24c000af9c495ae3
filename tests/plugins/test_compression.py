"""Which coding is chosen, what is left alone, validators, the cache, large bodies."""

import gzip
import importlib
import sys
import zlib
from dataclasses import dataclass

import brotli
import pytest

from beamfast.errors import ConfigError
from beamfast.http import Response
from beamfast.pipeline import Plugin
from beamfast.plugins.compression import OFF_LOOP, load_codings
from beamfast.server.config import PluginConfig
from beamfast.server.options import convert
from beamfast.server.plugin_types import load_plugin, plugin_type

zstd = importlib.import_module(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
)
DECODERS = {
    "br": brotli.decompress,
    "zstd": zstd.decompress,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}
TEXT = b"<p>The same words, again and again.</p>\n" * 100
LARGE = TEXT * (OFF_LOOP // len(TEXT) + 1)


@dataclass(frozen=True)
class SayingOptions:
    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()
    pieces: tuple[bytes, ...] = ()
    body: bytes = TEXT


class Saying(Plugin[SayingOptions]):
    """Says what its options say."""

    name = "saying"

    def handle_request(self, request, context):
        given = self.options
        body = self.iterate() if given.pieces else given.body
        return Response(given.status, body, headers=given.fields)

    async def iterate(self):
        self.is_open = True
        try:
            for piece in self.options.pieces:
                yield piece
        finally:
            self.is_open = False


def saying(**options) -> PluginConfig:
    return PluginConfig(f"python:{__name__}:Saying", options)


@pytest.fixture
def packed(make_site, root):
    """Make a site with these options and some files."""
    (root / "long.html").write_bytes(TEXT)
    (root / "long.jpg").write_bytes(TEXT)
    (root / "large.txt").write_bytes(LARGE)
    (root / "huge.txt").write_bytes(TEXT * 300)
    return lambda **options: make_site(
        PluginConfig("eventsource"),
        PluginConfig("selector-handler"),
        PluginConfig("file-handler"),
        PluginConfig("compression", options),
    )


def coding(response: Response) -> str | None:
    return response.headers.get("content-encoding")


async def content(response: Response) -> bytes:
    """Return the body as a client sees it."""
    body = response.body
    if not isinstance(body, bytes):
        body = b"".join([piece async for piece in body])
    return DECODERS.get(coding(response), bytes)(body)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("br, gzip, deflate", "br"),
        ("deflate, gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("*;q=0.1, gzip", "gzip"),
        ("br;q=0, *", "zstd"),
        ("*;q=0", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("compress, x-other", None),
        ("", None),
        (None, None),
    ],
)
async def test_the_coding_is_the_one_the_client_likes_best(packed, accept, expected):
    fields = {} if accept is None else {"Accept_Encoding": accept}
    response = await packed().ask("GET", "/long.html", **fields)
    assert coding(response) == expected
    assert response.headers["Vary"] == "Accept-Encoding"
    assert await content(response) == TEXT
    assert (len(response.body) < len(TEXT)) == (expected is not None)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("path", ["/long.html", "/large.txt"])
async def test_what_is_decoded_equals_the_original(packed, root, name, path):
    response = await packed().ask("GET", path, Accept_Encoding=name)
    assert coding(response) == name
    assert await content(response) == (root / path[1:]).read_bytes()


async def test_the_order_of_the_algorithms_is_the_preference(packed):
    site = packed(algorithms=("deflate", "gzip", "brotli"))
    response = await site.ask("GET", "/long.html", Accept_Encoding="br, gzip, deflate")
    assert coding(response) == "deflate"
    assert coding(await site.ask("GET", "/long.html", Accept_Encoding="zstd")) is None


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/notes.txt", {}),
        ("GET", "/long.jpg", {}),
        ("GET", "/missing", {}),
        ("HEAD", "/long.html", {}),
        ("GET", "/large.txt", {"Range": "bytes=0-4999"}),
    ],
    ids=["small", "picture", "small error", "head", "byte range"],
)
async def test_what_would_gain_nothing_is_left_alone(packed, method, path, fields):
    response = await packed().ask(method, path, Accept_Encoding="gzip", **fields)
    assert coding(response) is None
    assert "Vary" not in response.headers


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, [("Content-Encoding", "x-own")]),
        (200, [("Cache-Control", "public, no-transform")]),
        (204, []),
        (304, []),
    ],
)
async def test_some_answers_are_never_touched(make_site, status, fields):
    site = make_site(
        saying(status=status, fields=(("Content-Type", "text/html"), *fields)),
        PluginConfig("compression"),
    )
    response = await site.ask("GET", "/", Accept_Encoding="gzip")
    assert response.body == TEXT
    assert "Vary" not in response.headers


async def test_sizes_and_types_are_limits_of_the_configuration(packed):
    for options, expected in [
        ({"min_size": len(TEXT)}, "gzip"),
        ({"min_size": len(TEXT) + 1}, None),
        ({"max_size": len(TEXT)}, "gzip"),
        ({"max_size": len(TEXT) - 1}, None),
        ({"compressible_types": ("text/plain",)}, None),
        ({"compressible_types": ("TEXT/",)}, "gzip"),
    ]:
        site = packed(**options)
        response = await site.ask("GET", "/long.html", Accept_Encoding="gzip")
        assert coding(response) == expected, options


async def test_levels_are_brought_into_their_range(packed):
    sizes = []
    for level in (0, 1, 9, 99):
        site = packed(compression_level=level)
        response = await site.ask("GET", "/long.html", Accept_Encoding="gzip")
        sizes.append(len(response.body))
        assert await content(response) == TEXT
    assert sizes[0] == sizes[1] >= sizes[2] == sizes[3]


async def test_a_strong_tag_becomes_a_weak_one_that_still_revalidates(packed):
    site = packed()
    plain = (await site.ask("GET", "/long.html")).headers["ETag"]
    response = await site.ask("GET", "/long.html", Accept_Encoding="gzip")
    assert response.headers["ETag"] == f"W/{plain}"
    again = await site.ask(
        "GET", "/long.html", Accept_Encoding="gzip", If_None_Match=f"W/{plain}"
    )
    assert again.status == 304


async def test_vary_keeps_what_was_there(make_site):
    fields = (("Content-Type", "text/html"), ("Vary", "Origin"), ("ETag", 'W/"1"'))
    site = make_site(saying(fields=fields), PluginConfig("compression"))
    response = await site.ask("GET", "/", Accept_Encoding="gzip")
    assert response.headers.get_all("Vary") == ["Origin, Accept-Encoding"]
    assert response.headers["ETag"] == 'W/"1"'


async def test_elements_are_compressed_as_well(packed, root):
    (root / "page.html").write_bytes(b"<ul>" + b"<li>item</li>" * 200 + b"</ul>")
    response = await packed().ask(
        "GET", "/page.html", selector="li", Accept_Encoding="gzip"
    )
    assert (response.status, coding(response)) == (206, "gzip")
    assert (await content(response)).count(b"item") == 200


async def test_an_event_stream_is_never_wrapped(packed):
    site = packed()
    for accept, encoding in [("br, gzip", "gzip"), ("br", None), ("gzip;q=0", None)]:
        response = await site.ask(
            "GET", "/page.html", Accept="text/event-stream", Accept_Encoding=accept
        )
        assert response.stream is not None
        assert response.encoding == encoding
        assert coding(response) is None


async def test_a_streamed_file_is_compressed_as_it_comes(make_site):
    pieces = (TEXT, LARGE, b"", b"end")
    size = sum(map(len, pieces))
    fields = [("Content-Type", "text/plain"), ("Content-Length", str(size))]
    site = make_site(
        saying(pieces=pieces, fields=tuple(fields)), PluginConfig("compression")
    )
    for name in DECODERS:
        response = await site.ask("GET", "/", Accept_Encoding=name)
        assert coding(response) == name
        assert "Content-Length" not in response.headers
        assert await content(response) == b"".join(pieces)


async def test_a_body_of_unknown_length_is_left_alone(make_site):
    fields = (("Content-Type", "text/plain"),)
    site = make_site(saying(pieces=(TEXT,), fields=fields), PluginConfig("compression"))
    response = await site.ask("GET", "/", Accept_Encoding="gzip")
    assert coding(response) is None
    assert await content(response) == TEXT


async def test_closing_a_compressed_stream_closes_the_file(make_site):
    fields = (("Content-Type", "text/plain"), ("Content-Length", "99999"))
    site = make_site(
        saying(pieces=(LARGE, LARGE), fields=fields), PluginConfig("compression")
    )
    response = await site.ask("GET", "/", Accept_Encoding="gzip")
    await anext(response.body)
    source = site.host.pipeline.plugins[0]
    assert source.is_open
    await response.body.aclose()
    assert not source.is_open


@pytest.mark.parametrize("path", ["/long.html", "/large.txt"])
async def test_what_has_a_validator_is_compressed_once(packed, monkeypatch, path):
    site = packed()
    first = await site.ask("GET", path, Accept_Encoding="gzip")
    plugin = site.host.pipeline.plugins[-1]
    monkeypatch.setattr(plugin, "_compress", None)
    again = await site.ask("GET", path, Accept_Encoding="gzip")
    assert again.body is first.body
    assert coding(again) == "gzip"


async def test_a_changed_file_is_compressed_anew(packed, root):
    site = packed()
    await site.ask("GET", "/long.html", Accept_Encoding="gzip")
    (root / "long.html").write_bytes(TEXT.upper())
    response = await site.ask("GET", "/long.html", Accept_Encoding="gzip")
    assert await content(response) == TEXT.upper()


async def test_the_cache_stays_within_its_size(make_site):
    fields = (("Content-Type", "text/html"), ("ETag", '"1"'))
    cost = len(TEXT) + len(zlib.compress(TEXT)) + 100
    site = make_site(
        saying(fields=fields), PluginConfig("compression", {"cache_size": cost})
    )
    plugin = site.host.pipeline.plugins[-1]
    for name in ("gzip", "deflate"):
        await site.ask("GET", "/", Accept_Encoding=name)
        assert [key[0] for key in plugin._cache] == [name]
        assert plugin._cached <= cost


async def test_nothing_is_cached_when_the_cache_has_no_room(packed):
    site = packed(cache_size=0)
    for _ in range(2):
        response = await site.ask("GET", "/long.html", Accept_Encoding="gzip")
        assert await content(response) == TEXT


@pytest.mark.parametrize(
    ("name", "missing"),
    [("brotli", ["brotli"]), ("zstd", ["compression.zstd", "backports.zstd"])],
)
def test_a_package_that_is_missing_is_named_with_its_command(
    monkeypatch, name, missing
):
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'beamfast\[{name}\]'"):
        load_plugin(PluginConfig("compression", {"algorithms": (name, "gzip")}))
    assert {"gzip", "deflate"} < load_codings(()).keys()
    assert DECODERS.keys() - load_codings(()).keys() == {
        "br" if name[0] == "b" else name
    }


def test_an_unknown_algorithm_is_a_mistake():
    with pytest.raises(ConfigError, match="lzma is none of brotli, zstd, gzip"):
        load_plugin(PluginConfig("compression", {"algorithms": ("lzma",)}))


def test_the_published_spellings_are_known():
    found = plugin_type("compression")
    texts = {"types": ["text/html, text/css"], "algorithms": ["br,gzip"]}
    values, problems = convert(found.options_type, texts, found.aliases)
    assert not problems
    assert values["compressible_types"] == ("text/html", "text/css")
    assert list(load_codings(values["algorithms"])) == ["br", "gzip"]
