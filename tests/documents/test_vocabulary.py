"""The schemas that come along fit the plugins and the pages that are used."""

import pytest

from beamfast.documents.schema import (
    TYPES,
    all_properties,
    read_schema,
    schema_page,
    validate_page,
)
from beamfast.documents.vocabulary import SCHEMAS
from beamfast.server.options import normal_name
from beamfast.server.plugin_types import builtin_names

URL = "https://rustybeam.net/schema/"


@pytest.mark.parametrize("name", SCHEMAS)
def test_types_and_parents_are_known(name):
    schema = SCHEMAS[name]
    assert schema.parent in (*SCHEMAS, "")
    for one in all_properties(schema, SCHEMAS):
        assert one.type in (*TYPES, *SCHEMAS)
        assert TYPES["Cardinal"](one.cardinality)
    assert read_schema(schema_page(schema)).name == name


def test_plugin_schemas_are_those_of_plugins():
    groups = {"Plugin", "AuthPlugin", "HandlerPlugin", "UtilityPlugin"}
    named = {
        normal_name(name.removesuffix("Plugin"))
        for name in SCHEMAS
        if name.endswith("Plugin") and name not in groups
    }
    known = set(map(normal_name, builtin_names())) | {"configreload"}
    assert named <= known


def item(kind: str, **properties: str) -> str:
    rows = "".join(
        f"<b itemprop={name}>{text}</b>" for name, text in properties.items()
    )
    return f"<p itemscope itemtype='{URL}{kind}'>{rows}</p>"


def test_users_rules_and_redirects_as_they_are_written_are_fine():
    page = item("Credential", username="ann", password="x", role="editor")
    page += item("AuthorizationRule", role="*", path="/*", method="GET", action="allow")
    page += f"<p itemscope itemtype='{URL}RedirectRule'><b itemprop=from>^/a$</b>"
    page += "<b itemprop=to>/b</b><b itemprop=status>301</b></p>"
    assert validate_page(page, SCHEMAS) == []


def test_mistakes_in_rules_are_told():
    page = "\n".join(
        [
            item("Credential", password="x"),
            item("AuthorizationRule", path="/*", method="GET", action="perhaps"),
            item("AuthorizationRule", role="*", path="/*"),
        ]
    )
    assert list(map(str, validate_page(page, SCHEMAS))) == [
        "line 1: Credential without username",
        "line 2: action: 'perhaps' is no Permission",
        "line 3: AuthorizationRule without method",
    ]
