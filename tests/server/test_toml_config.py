"""Configurations in TOML: the model of the HTML form, and places as paths of keys."""

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import (
    DEFAULT_PLUGINS,
    DaemonConfig,
    ListenerConfig,
    PluginConfig,
    ServerConfig,
)
from beamfast.server.loading import build
from beamfast.server.toml_config import read_toml


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a file that stands beside the folder ``site``."""
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path)

    def read(text: str) -> ServerConfig:
        return build(read_toml(text, "site.toml")).config

    return read


HOST = '[[host]]\nname = "localhost"\nroot = "site"\n'


def test_settings_limits_and_the_daemon(read):
    config = read(
        """
        bind = "127.0.0.2"
        port = 81
        workers = 2
        trusted_proxies = ["10.0.0.0/8"]
        [limits]
        max_body = "1 MiB"
        keep_alive = 5
        [daemon]
        umask = 0o022
        user = "nobody"
        """
        + HOST
    )
    assert (config.address, config.port, config.workers) == ("127.0.0.2", 81, 2)
    assert config.trusted_proxies == ("10.0.0.0/8",)
    assert (config.limits.max_body, config.limits.keep_alive) == (2**20, 5.0)
    assert config.daemon == DaemonConfig(user="nobody", umask=0o022)


def test_a_host_without_plugins_has_the_default_pipeline(read):
    (host,) = read(HOST).hosts
    assert tuple(one.name for one in host.plugins) == DEFAULT_PLUGINS
    (host,) = read(HOST + "plugins = []\n").hosts
    assert host.plugins == ()


def test_plugins_are_tables_or_names_at_any_depth(read):
    (host,) = read(
        HOST
        + """
        [[host.plugin]]
        name = "error-handler"
        error_page = { 404 = "site/none.html" }
        [[host.plugin]]
        name = "directory"
        directory = "/a"
        plugins = ["file-handler"]
        [[host.plugin.plugin]]
        name = "websocket"
        ping_interval = 3
        allowed_origins = ["https://a.example", "https://b.example"]
        """.replace('plugins = ["file-handler"]\n', "")
    ).hosts
    directory = host.plugins[1]
    assert directory.options == {"directory": "/a"}
    assert directory.nested == (
        PluginConfig(
            "websocket",
            {
                "ping_interval": 3.0,
                "allowed_origins": ("https://a.example", "https://b.example"),
            },
        ),
    )
    assert directory.nested[0].place == "site.toml: host[0].plugin[1].plugin[0]"


def test_listeners(read):
    config = read(
        HOST
        + """
        [[listener]]
        address = "unix:/run/site.sock"
        mode = 0o600
        [[listener]]
        listen = "127.0.0.1:81"
        proxy_protocol = true
        """
    )
    assert config.listeners == (
        ListenerConfig("unix:/run/site.sock", mode=0o600),
        ListenerConfig("127.0.0.1:81", proxy_protocol=True),
    )


def test_a_pipeline_without_a_host_serves_the_root_under_any_name(read):
    (host,) = read('root = "site"\nplugins = ["file-handler"]').hosts
    assert host.names == ("*",)
    assert host.plugins == (PluginConfig("file-handler"),)


def test_every_mistake_is_reported_with_its_path(read):
    text = (
        (
            'porrt = 1\nport = "many"\nhosts = 3\n'
            "[limits]\nmax_bdy = 1\nkeep_alive = [[1]]\n"
            '[[host]]\nname = "a"\n'
            '[[host]]\nroot = "nowhere"\nhostnames = "b"\n'
            '[[host]]\nname = "c"\nroot = "site"\nplugins = [3, "web-socket"]\n'
            "[[host.other]]\n"
        )
        .replace("hosts = 3\n", "")
        .replace("[[host.other]]\n", "")
    )
    with pytest.raises(ConfigError) as refused:
        read(text)
    problems = str(refused.value).splitlines()
    for place, words in [
        ("porrt", "did you mean port"),
        ("port", "'many' is not a port"),
        ("limits.max_bdy", "did you mean max_body"),
        ("limits.keep_alive", "a list of lists or tables"),
        ("host[0]", "without hostRoot"),
        ("host[1].hostnames", "did you mean hostname"),
        ("host[1]", "without hostname"),
        ("host[2].plugins[0]", "3 is no plugin"),
        ("host[2].plugins[1]", "did you mean websocket"),
    ]:
        assert any(
            problem.startswith(f"site.toml: {place}: ") and words in problem
            for problem in problems
        ), (place, words, problems)


def test_a_syntax_error_has_line_and_column(read):
    with pytest.raises(ConfigError, match=r"site\.toml: .*line 2, column 6"):
        read("port = 1\nbind 2\n")


def test_what_is_no_table_is_a_mistake(read):
    with pytest.raises(ConfigError, match=r"host\[0\]: 3 is no table"):
        read("host = 3")
