"""The schemas that come with the server: users, rules, redirects, items, settings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from beamfast.documents.schema import PropertySchema as P, Schema

_DATA: Final = (
    Schema(
        "Credential",
        "A user, for basic-auth and authorization.",
        (
            P("username", "Text", "1", "case counts"),
            P("password", "Text", "0..1", "as encryption says; roles need none"),
            P("role", "Text", "0..n", "of the user", ("roles",)),
            P("encryption", "Text", "0..1", "plaintext, bcrypt, argon2, scrypt or so"),
        ),
    ),
    Schema(
        "AuthorizationRule",
        "Who may do what, for authorization.",
        (
            P("username", "Text", "0..1", "user, role, * or :username"),
            P("role", "Text", "0..1", "the same, for roles"),
            P("path", "Text", "1", "exact, with :name segments, or ending in /*"),
            P("selector", "Text", "0..1", "CSS; none for whole documents"),
            P("method", "Text", "1..n", "one, a list, or *"),
            P("action", "Permission", "0..1", "deny without it"),
        ),
    ),
    Schema(
        "RedirectRule",
        "Where a path has moved, for redirect.",
        (
            P("from", "Text", "1", "regular expression"),
            P("to", "Text", "1", "target, with $1 for what was captured"),
            P("status", "Number", "0..1", "302 without it"),
            P("on", "Number", "0..n", "statuses of answers that it is for"),
            P("conditions", "Text", "0..1", "https_only or http_only"),
        ),
    ),
    Schema(
        "StreamItem",
        "One edit, as viewers receive it.",
        (
            P("method", "Text", "1", "PUT, POST or DELETE"),
            P("url", "Text", "1", "of the document"),
            P("selector", "Text", "1", "of the element"),
            P("content", "Text", "1", "new, or what was removed"),
        ),
    ),
    Schema(
        "ServerConfig",
        "A server.",
        (
            P("serverRoot", "Text", "0..1", "folder, where hosts have none"),
            P("bindAddress", "Text", "0..1", "to listen on"),
            P("bindPort", "Number", "0..1", "to listen on"),
            P("host", "HostConfig", "0..n", "its hosts"),
        ),
    ),
    Schema(
        "HostConfig",
        "One virtual host.",
        (
            P("hostname", "Text", "1..n", "names it answers to", ("hostName", "host")),
            P(
                "hostRoot",
                "Text",
                "1",
                "folder of its documents",
                ("host_root", "root"),
            ),
            P("serverHeader", "Text", "0..1", "what it calls the server"),
            P("plugin", "Plugin", "0..n", "its pipeline, in order", ("plugins",)),
        ),
    ),
)

_PLUGINS: Final = (
    Schema(
        "Plugin",
        "One plugin of a pipeline.",
        (
            P("library", "Text", "0..1", "which plugin; its type says it as well"),
            P("plugin", "Plugin", "0..n", "plugins inside it", ("plugins",)),
            P("name", "Text", "0..1", "of the instance"),
            P("enabled", "Boolean", "0..1", "true without it"),
            P("priority", "Number", "0..1", "lower runs earlier"),
        ),
    ),
    Schema(
        "AuthPlugin",
        "A plugin that knows users.",
        (
            P("authfile", "Text", "0..1", "page with users and rules"),
            P("realm", "Text", "0..1", "shown by browsers"),
        ),
        "Plugin",
    ),
    Schema(
        "HandlerPlugin",
        "A plugin that answers.",
        (
            P("config_file", "Text", "0..1", "page with its settings"),
            P("rulesfile", "Text", "0..1", "page with its rules"),
        ),
        "Plugin",
    ),
    Schema(
        "UtilityPlugin",
        "A plugin beside the documents.",
        (
            P("logfile", "Text", "0..1", "where lines go"),
            P("directory", "Text", "0..1", "path that it is for"),
        ),
        "Plugin",
    ),
)

_PARENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("BasicAuth", "OAuth2", "Authorization"), "AuthPlugin"),
        **dict.fromkeys(
            ("FileHandler", "SelectorHandler", "WebSocket", "Redirect"), "HandlerPlugin"
        ),
        **dict.fromkeys(
            ("AccessLog", "HealthCheck", "ConfigReload", "Directory"), "UtilityPlugin"
        ),
        **dict.fromkeys(
            (
                *("Compression", "Cors", "ErrorHandler", "EventSource"),
                *("HtmlPrettifier", "JavascriptEngine", "RateLimit", "SecurityHeaders"),
            ),
            "Plugin",
        ),
    }
)

#: All schemas by name.
SCHEMAS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        schema.name: schema
        for schema in (
            *_DATA,
            *_PLUGINS,
            *(
                Schema(f"{name}Plugin", f"Settings of the plugin {name}.", (), parent)
                for name, parent in _PARENTS.items()
            ),
        )
    }
)
