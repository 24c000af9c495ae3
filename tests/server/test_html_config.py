"""Configurations in HTML: every published form, and every mistake with its line."""

import json
import re
from pathlib import Path

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import DaemonConfig, PluginConfig
from beamfast.server.html_config import read_html_config

SCHEMA = "https://rustybeam.net/schema/"


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a page that stands beside the folder ``site``."""
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path)
    return lambda text: read_html_config(text, "config.html")


def item(kind: str, content: str, *, tag="div", more="", vocabulary=SCHEMA) -> str:
    scope = f'itemscope itemtype="{vocabulary}{kind}"'
    return f"<{tag} {scope} {more}>{content}</{tag}>"


def prop(name: str, value: str) -> str:
    return f'<span itemprop="{name}">{value}</span>'


def plugin(library: str = "", more: str = "", kind: str = "Plugin") -> str:
    written = prop("library", library) if library else ""
    return item(kind, written + more, more="itemprop=plugin")


def host(content: str = "", name: str = "localhost", root: str = "site") -> str:
    own = prop("hostname", name) + prop("hostRoot", root)
    return item("HostConfig", own + content)


FILES = "file://./plugins/librusty_beam_file_handler.so"


@pytest.mark.parametrize(
    "vocabulary",
    [
        "http://rustybeam.net/",
        "https://rustybeam.net/",
        "http://rustybeam.net/schema/",
        "https://rustybeam.net/schema/",
    ],
)
def test_all_spellings_of_the_server_type(read, vocabulary):
    server = item("ServerConfig", prop("bindPort", "8080"), vocabulary=vocabulary)
    assert read(server + host()).port == 8080


@pytest.mark.parametrize("name", ["bindPort", "bind_port", "bind-port", "port"])
def test_aliases_of_the_port(read, name):
    assert read(item("ServerConfig", prop(name, "81")) + host()).port == 81


@pytest.mark.parametrize("name", ["bindAddress", "bind_address", "bind"])
def test_aliases_of_the_address(read, name):
    config = read(item("ServerConfig", prop(name, "127.0.0.2")) + host())
    assert config.address == "127.0.0.2"


@pytest.mark.parametrize("name", ["hostname", "hostName", "host", "aliases"])
@pytest.mark.parametrize("root", ["hostRoot", "host_root", "root"])
def test_aliases_of_a_host(read, name, root):
    text = item("HostConfig", prop(name, "a.example") + prop(root, "site"))
    (found,) = read(text).hosts
    assert found.names == ("a.example",)
    assert found.root.name == "site"


def test_several_names_share_one_host(read):
    (found,) = read(host(prop("hostname", "b.example"), name="a.example")).hosts
    assert found.names == ("a.example", "b.example")


@pytest.mark.parametrize(
    "text",
    [
        item("ServerConfig", "", more="itemref=h")
        + host().replace("<div ", "<div id=h itemprop=host ", 1),
        item("ServerConfig", "") + host().replace("<div ", "<div itemprop=host ", 1),
        item("ServerConfig", host()),
        host(),
    ],
    ids=["itemref", "unreferenced", "nested", "alone"],
)
def test_a_host_is_found_wherever_it_stands(read, text):
    (found,) = read(text).hosts
    assert found.names == ("localhost",)


@pytest.mark.parametrize(
    "library",
    [
        FILES,
        "file://./plugins/file-handler.so",
        "file:///x/file-handler-v2.so",
        "file://x/libfile_handler.dylib",
        "file://x/librusty_beam_file_handler.dll",
    ],
)
def test_libraries_name_the_builtin_plugins(read, library):
    (found,) = read(host(plugin(library))).hosts
    assert found.plugins == (PluginConfig("file-handler"),)


@pytest.mark.parametrize(
    "library",
    ["file:///x/evil.exe", "ftp://x/y.so", "http://x/y.so", "file://x/y.wasm"],
)
def test_other_libraries_are_refused(read, library):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        read(host(plugin(library)))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("WebSocketPlugin", "websocket"),
        ("SelectorHandlerPlugin", "selector-handler"),
        ("FileHandlerPlugin", "file-handler"),
        ("AccessLogPlugin", "access-log"),
    ],
)
def test_a_plugin_is_known_by_its_type_or_its_name(read, kind, name):
    (by_type,) = read(host(plugin(kind=kind))).hosts
    assert by_type.plugins == (PluginConfig(name),)
    (by_name,) = read(host(plugin(more=prop("name", name)))).hosts
    assert by_name.plugins == (PluginConfig(name),)


def test_an_untied_plugin_inside_a_host_counts(read):
    text = host(item("WebSocketPlugin", "") + plugin(FILES))
    (found,) = read(text).hosts
    assert [one.name for one in found.plugins] == ["websocket", "file-handler"]


def test_rows_cells_list_items_and_containers_all_load_in_order(read):
    scope = f'itemprop=plugin itemscope itemtype="{SCHEMA}Plugin"'
    text = host(
        f"<ol {scope}><li {scope}>{prop('name', 'websocket')}</li>"
        f"<li {scope}>{prop('name', 'eventsource')}</li></ol>"
        f"<table><tr {scope}><td>{prop('name', 'selector-handler')}</td></tr>"
        f"<tr><td {scope}>{prop('name', 'file-handler')}</td></tr></table>"
    )
    (found,) = read(text).hosts
    assert [one.name for one in found.plugins] == [
        *("websocket", "eventsource"),
        *("selector-handler", "file-handler"),
    ]


def test_priority_comes_before_the_order_of_the_document(read):
    first = plugin(more=prop("name", "file-handler") + prop("priority", "5"))
    second = plugin(more=prop("name", "websocket") + prop("priority", "-1"))
    (found,) = read(host(first + second)).hosts
    assert [one.name for one in found.plugins] == ["websocket", "file-handler"]


def test_a_plugin_can_be_switched_off(read):
    text = host(plugin(FILES, prop("enabled", "no")) + plugin(FILES))
    (found,) = read(text).hosts
    assert len(found.plugins) == 1


def test_options_are_typed_and_repeated_ones_joined(read):
    more = (
        prop("ping-interval", "3")
        + prop("allowed_origins", "https://a.example")
        + prop("allowed_origins", "https://b.example")
    )
    (found,) = read(host(plugin(kind="WebSocketPlugin", more=more))).hosts
    assert found.plugins[0].options == {
        "ping_interval": 3.0,
        "allowed_origins": ("https://a.example", "https://b.example"),
    }


def test_values_come_from_meta_text_and_the_selected_option(read):
    server = item(
        "ServerConfig",
        "<meta itemprop=bindAddress content=127.0.0.3>"
        "<select itemprop=bindPort><option>1<option selected>82</select>",
    )
    config = read(server + host())
    assert (config.address, config.port) == ("127.0.0.3", 82)


def test_a_page_of_pipelines_only_serves_the_server_root_under_any_name(read):
    server = item("ServerConfig", prop("serverRoot", "site"))
    pipeline = item("Pipeline", plugin(more=prop("name", "file-handler")))
    (found,) = read(server + pipeline).hosts
    assert found.names == ("*",)
    assert found.root.name == "site"
    assert found.plugins == (PluginConfig("file-handler"),)


def test_the_journal_of_all_hosts_and_of_one(read):
    server = item(
        "ServerConfig", prop("durability", "relaxed") + prop("retainEntries", "100")
    )
    own = prop("durability", "Full") + prop("retain_bytes", "1000000")
    one, other = read(server + host() + host(own, "other")).hosts
    assert (one.durability, one.retain_entries) == ("relaxed", 100)
    assert (other.durability, other.retain_bytes) == ("full", 1_000_000)
    assert other.retain_entries == 100
    bare = item("Pipeline", plugin(more=prop("name", "file-handler")))
    bare_server = server.replace("</div>", prop("root", "site") + "</div>")
    (found,) = read(bare_server + bare).hosts
    assert found.durability == "relaxed"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("durability", "sometimes", "'sometimes' is none of full, relaxed"),
        ("retain-entries", "many", "'many' is not a whole number"),
    ],
)
def test_a_journal_that_cannot_be(read, name, text, problem):
    with pytest.raises(ConfigError, match=f"config.html:1: {name}: {problem}"):
        read(host(prop(name, text)))


def test_a_server_header(read):
    (found,) = read(host(prop("serverHeader", "club/1"))).hosts
    assert found.server_header == "club/1"


def test_the_daemon_properties_of_the_original_are_accepted(read):
    server = item(
        "ServerConfig",
        prop("daemonPidFile", "x.pid")
        + prop("daemonUser", "nobody")
        + prop("daemonGroup", "65534")
        + prop("daemonUmask", "0o022")
        + prop("daemonStdout", "out")
        + prop("daemonStderr", "err")
        + prop("daemonChownPidFile", "true")
        + prop("daemonWorkingDirectory", "."),
    )
    assert read(server + host()).daemon == DaemonConfig(
        *(Path("x.pid"), "nobody", "65534", 0o022, Path("out"), Path("err")),
        chown_pid_file=True,
        working_directory=Path(),
    )


def test_every_mistake_is_reported_with_its_line(read):
    text = "\n".join(
        [
            item("ServerConfig", prop("bindPort", "many")),
            item("HostConfig", prop("hostname", "a")),
            item("HostConfig", prop("hostRoot", "site")),
            host(root="nowhere"),
            host(plugin(more=prop("name", "web-socket"))),
            host(plugin(kind="WebSocketPlugin", more=prop("ping_intervall", "3"))),
            host(plugin(kind="WebSocketPlugin", more=prop("ping_interval", "x"))),
            host(plugin()),
            item("ServerConfig", prop("x", "y")),
            item("HostConfig", prop("hostname", "a") + prop("hostrot", "site")),
        ]
    )
    with pytest.raises(ConfigError) as refused:
        read(text)
    problems = str(refused.value).splitlines()
    for line, words in [
        (1, "'many' is not a port"),
        (2, "without hostRoot"),
        (3, "without hostname"),
        (4, "no such folder: nowhere"),
        (5, "did you mean websocket"),
        (6, "did you mean ping_interval"),
        (7, "'x' is not a number"),
        (8, "neither library nor name"),
        (9, "a second ServerConfig"),
        (10, "did you mean hostRoot"),
    ]:
        assert any(
            problem.startswith(f"config.html:{line}: ") and words in problem
            for problem in problems
        ), (line, words, problems)


def test_a_page_without_hosts_is_refused(read):
    with pytest.raises(ConfigError, match="no HostConfig"):
        read("<p>nothing here")


def test_a_folder_beside_the_configuration_is_found_from_elsewhere(tmp_path):
    (tmp_path / "site").mkdir()
    config = read_html_config(host(), str(tmp_path / "config.html"))
    assert config.hosts[0].root == tmp_path / "site"


def test_what_a_plugin_refuses_is_reported_with_its_line(read):
    text = host(plugin("python:email.message:Message"))
    with pytest.raises(ConfigError, match=r"config\.html:1: .*not a plugin class"):
        read(text)


RATE = "file://./plugins/librusty_beam_rate_limit.so"
DIRECTORY = "file://./plugins/librusty_beam_directory.so"


def limited(rate: float) -> PluginConfig:
    return PluginConfig("rate-limit", {"requests_per_second": rate})


def test_items_inside_a_directory_are_its_pipeline_at_any_depth(read):
    inner = plugin(RATE, prop("requests_per_second", "2"))
    middle = plugin(DIRECTORY, prop("directory", "/a/b") + inner)
    outer = prop("directory", "/a") + plugin(RATE) + middle
    (found,) = read(host(plugin(DIRECTORY, outer) + plugin(FILES))).hosts
    assert found.plugins == (
        PluginConfig(
            "directory",
            {"directory": "/a"},
            (
                PluginConfig("rate-limit"),
                PluginConfig("directory", {"directory": "/a/b"}, (limited(2.0),)),
            ),
        ),
        PluginConfig("file-handler"),
    )


def test_the_json_form_of_nested_plugins_means_the_same(read):
    inner = {"library": RATE, "config": {"requests_per_second": 2}}
    middle = {
        "library": DIRECTORY,
        "config": {"directory": "/a/b"},
        "nested_plugins": [inner],
    }
    unused = {"library": FILES, "config": {"enabled": False}}
    text = json.dumps([{"library": RATE}, unused, middle])
    more = prop("directory", "/a") + prop("nested_plugins", text)
    (found,) = read(host(plugin(DIRECTORY, more))).hosts
    assert found.plugins == (
        PluginConfig(
            "directory",
            {"directory": "/a"},
            (
                PluginConfig("rate-limit"),
                PluginConfig("directory", {"directory": "/a/b"}, (limited(2.0),)),
            ),
        ),
    )


def test_plugins_inside_that_equal_those_outside_all_stay(read):
    inside = prop("directory", "/a") + plugin(RATE)
    (found,) = read(host(plugin(RATE) + plugin(DIRECTORY, inside))).hosts
    assert [one.name for one in found.plugins] == ["rate-limit", "directory"]
    assert found.plugins[1].nested == (PluginConfig("rate-limit"),)


def test_an_empty_list_of_nested_plugins_is_fine(read):
    (found,) = read(host(plugin(DIRECTORY, prop("nested_plugins", "")))).hosts
    assert found.plugins == (PluginConfig("directory"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "config.html:1: nested_plugins: "),
        ("{}", "nested_plugins: not an array"),
        ('["x"]', "'x' is no plugin"),
        ('[{"config": 1}]', "config: 1 is no object"),
        ('[{"config": {"a": null}}]', "a: None is no text"),
        ('[{"library": "x.so"}]', "'x.so' cannot be loaded"),
    ],
)
def test_mistakes_in_the_json_form_are_reported(read, text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read(host(plugin(DIRECTORY, prop("nested_plugins", text))))


def test_plugins_inside_one_that_takes_none_are_a_mistake(read):
    with pytest.raises(ConfigError, match="file-handler takes no plugins inside"):
        read(host(plugin(FILES, plugin(RATE))))


def test_a_mistake_inside_is_reported_once(read):
    broken = plugin(RATE, prop("window", "0"))
    with pytest.raises(ConfigError) as caught:
        read(host(plugin(DIRECTORY, broken)))
    assert str(caught.value).count("refuse every request") == 1


def test_an_instance_keeps_its_name_where_the_plugin_asks_for_it(read):
    names = ("client_id_env", "client_secret_env", "redirect_uri_env")
    more = prop("name", "github") + "".join(prop(name, "X") for name in names)
    library = "file://./plugins/librusty_beam_oauth2.so"
    pipeline = plugin(library, more) + plugin(FILES, prop("name", "files"))
    login, files = read(host(pipeline)).hosts[0].plugins
    assert login.options["name"] == "github"
    assert "name" not in files.options
