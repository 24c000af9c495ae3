"""What somebody wrote, and where."""

from beamfast.server.written import Written


def test_a_name_without_a_place_of_its_own_stands_where_the_item_begins():
    item = Written("site.html:3", places={"port": "site.html:4"})
    assert item.place_of("port") == "site.html:4"
    assert item.place_of("host") == "site.html:3"
