"""One client of an object store for all who fetch from it, with the real library."""

from __future__ import annotations

import asyncio

import pytest

from hep_flows.plugins.servicex.client import OneClient

HERE = "http://127.0.0.1:9"


def session():
    import aioboto3

    return aioboto3.Session(aws_access_key_id="a", aws_secret_access_key="b")


def test_everybody_gets_the_same_client_until_it_is_closed():
    async def use():
        one = OneClient(session())

        async def lent():
            async with one.client("s3", endpoint_url=HERE) as client:
                return client

        first, *others = await asyncio.gather(*[lent() for _ in range(4)])
        assert all(o is first for o in others)
        assert await lent() is first
        await one.close()
        assert await lent() is not first
        await one.close()
        await one.close()

    asyncio.run(use())


def test_one_who_gives_up_while_it_is_opened_does_not_end_it_for_others():
    async def use():
        one = OneClient(session())

        async def lent():
            async with one.client("s3", endpoint_url=HERE) as client:
                return client

        given_up, other = asyncio.create_task(lent()), asyncio.create_task(lent())
        await asyncio.sleep(0)
        given_up.cancel()
        assert (await other).meta.endpoint_url == HERE
        await one.close()

    asyncio.run(use())


def test_a_client_that_could_not_be_opened_is_tried_again():
    async def use():
        one = OneClient(session())
        with pytest.raises(ValueError, match="Invalid endpoint"):
            async with one.client("s3", endpoint_url="no address"):
                pass
        async with one.client("s3", endpoint_url=HERE) as client:
            assert client.meta.endpoint_url == HERE
        await one.close()

    asyncio.run(use())
