"""Changes that come twice: one effect, and the first answer."""

import asyncio

import pytest

from beamfast.documents.change import Appending, Removal, Replacement
from beamfast.errors import EditRefused
from beamfast.journal.journal import Behind


async def commit(site, change, key, user="ann"):
    return await site.committer.commit(
        site.location(), change, url="/page.html", user=user, idempotency_key=key
    )


async def test_a_change_that_comes_again_is_done_once(site):
    first = await commit(site, Appending(b"<p>x"), "key")
    between = await site.append(1)
    second = await commit(site, Appending(b"<p>x"), "key")
    assert second.version == first.version
    assert (await site.file()).count(b"<p>x") == 1
    assert between.version.revision == 2
    assert len(site.published) == 2


async def test_copies_that_wait_together_are_done_once(site):
    copies = [commit(site, Appending(b"<p>x"), "key") for _ in range(5)]
    outcomes = await asyncio.gather(*copies)
    assert len({outcome.version for outcome in outcomes}) == 1
    assert (await site.file()).count(b"<p>x") == 1


async def test_another_key_is_another_change(site):
    for key in ("a", "b"):
        await commit(site, Appending(b"<p>x"), key)
    assert (await site.file()).count(b"<p>x") == 2


@pytest.mark.parametrize(
    ("change", "user"),
    [(Replacement(b"<p>y"), "ann"), (Removal(), "ann"), (Appending(b"<p>x"), "bob")],
    ids=["method", "removal", "user"],
)
async def test_a_key_of_another_change_is_refused(site, change, user):
    await commit(site, Appending(b"<p>x"), "key")
    with pytest.raises(EditRefused) as caught:
        await commit(site, change, "key", user)
    assert caught.value.code == "idempotency-key"
    assert len(site.published) == 1


async def test_a_batch_is_made_again_on_the_newer_version(site):
    """What another process was faster with is below what waits here."""
    commit, tries = site.journal.commit, []

    async def too_late_once(document, base, *more):
        tries.append(base)
        if len(tries) == 1:
            return Behind([])
        return await commit(document, base, *more)

    site.journal.commit = too_late_once
    first, second = await asyncio.gather(site.append(1), site.append(2))
    assert len(tries) == 2
    assert (first.version.revision, second.version.revision) == (1, 2)
    assert (await site.file()).count(b"<li>") == 2
