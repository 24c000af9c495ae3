"""The pages of the schemas, for people and for programs."""

import pytest

from beamfast.documents.schema import read_schema
from beamfast.documents.vocabulary import SCHEMAS
from beamfast.server.config import PluginConfig


@pytest.fixture
def schema_site(make_site):
    return lambda **options: make_site(
        PluginConfig("schema", options), PluginConfig("file-handler")
    )


@pytest.mark.parametrize(
    "path",
    ["/schema/Credential", "/schema/Credential/", "/schema/Credential/index.html"],
)
async def test_a_schema_has_a_page_that_programs_can_read(schema_site, path):
    response = await schema_site().ask("GET", path)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    schema = read_schema(response.body.decode())
    assert [one.name for one in schema.properties] == [
        one.name for one in SCHEMAS["Credential"].properties
    ]


async def test_the_list_leads_to_every_page(schema_site):
    site = schema_site(path="/words/")
    page = (await site.ask("GET", "/words/")).body.decode()
    for name in SCHEMAS:
        assert f'href="/words/{name}/"' in page
        assert (await site.ask("GET", f"/words/{name}/")).status == 200


async def test_everything_else_goes_on(schema_site):
    site = schema_site()
    assert (await site.ask("GET", "/schema/Nothing/")).status == 404
    assert (await site.ask("GET", "/schemata")).status == 404
    assert (await site.ask("GET", "/page.html")).status == 200
    assert (await site.ask("PUT", "/schema/own.html", b"<p>")).status == 201
    assert (await site.ask("GET", "/schema/own.html")).status == 200
