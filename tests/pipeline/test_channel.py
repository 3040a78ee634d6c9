import asyncio
from collections import deque

import pytest
from fakes import make_packet
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channel import Channel, Collector, Item, SourceEnded
from pipeline.errors import ChannelClosed
from pipeline.types import Packet


def indices(items: list[Item]) -> list[int]:
    return [item.frame.index for item in items if isinstance(item, Packet)]


def items_of(count: int, source_id: str = "cam") -> deque[Item]:
    return deque(make_packet(index, source_id) for index in range(count))


async def test_a_channel_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity must be at least 1, got 0"):
        Channel("x", capacity=0)


async def test_closing_an_empty_channel_ends_its_receiver() -> None:
    channel = Channel("x", capacity=1)
    receiver = asyncio.create_task(channel.receive(5))
    await asyncio.sleep(0)
    channel.close()
    with pytest.raises(ChannelClosed):
        await receiver


async def test_what_was_sent_before_closing_is_still_received() -> None:
    channel = Channel("x", capacity=3)
    await channel.send(items_of(3))
    channel.close()
    channel.close()
    assert indices(await channel.receive(2)) == [0, 1]
    assert indices(await channel.receive(2)) == [2]
    with pytest.raises(ChannelClosed):
        await channel.receive(2)


async def test_a_full_channel_makes_its_sender_wait_and_loses_nothing() -> None:
    channel = Channel("x", capacity=2)
    items = items_of(5)
    sender = asyncio.create_task(channel.send(items))
    await asyncio.sleep(0)
    assert len(channel) == 2
    assert len(items) == 3
    got: list[int] = []
    while len(got) < 5:
        got += indices(await channel.receive(1))
    await sender
    assert got == [0, 1, 2, 3, 4]


async def test_a_cancelled_sender_keeps_what_did_not_fit() -> None:
    channel = Channel("x", capacity=2)
    items = items_of(5)
    sender = asyncio.create_task(channel.send(items))
    await asyncio.sleep(0)
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert indices(list(items)) == [2, 3, 4]
    assert indices(await channel.receive(9)) == [0, 1]


async def test_a_cancelled_receiver_has_taken_nothing() -> None:
    channel = Channel("x", capacity=2)
    receiver = asyncio.create_task(channel.receive(1))
    await asyncio.sleep(0)
    receiver.cancel()
    await channel.send(items_of(1))
    with pytest.raises(asyncio.CancelledError):
        await receiver
    assert len(channel) == 1


async def test_dropping_forgets_the_oldest_packet_but_never_a_mark() -> None:
    dropped: list[Packet] = []
    channel = Channel("x", 2, "drop_oldest", dropped.append)
    end: Item = SourceEnded("a")
    await channel.send(deque([make_packet(0), end, make_packet(1), make_packet(2)]))
    assert indices(list(dropped)) == [0, 1]
    assert await channel.receive(9) == [end]
    assert indices(await channel.receive(9)) == [2]


async def test_a_mark_comes_alone_and_in_its_place() -> None:
    channel = Channel("x", 9)
    end: Item = SourceEnded("a")
    await channel.send(deque([make_packet(0), make_packet(1), end, make_packet(2)]))
    assert indices(await channel.receive(9)) == [0, 1]
    assert await channel.receive(9) == [end]
    assert indices(await channel.receive(9)) == [2]


async def test_statistics_remember_the_peak_which_is_never_above_the_capacity() -> None:
    channel = Channel("x", 3)
    await channel.send(items_of(3))
    await channel.send(deque([SourceEnded("a")]))
    await channel.receive(9)
    await channel.receive(9)
    statistics = channel.statistics()
    assert (statistics.used, statistics.capacity, statistics.peak) == (0, 3, 3)


@given(sizes=st.lists(st.integers(1, 7), max_size=30), capacity=st.integers(1, 5), limit=st.integers(1, 6))
def test_any_mix_of_sends_and_receives_keeps_every_packet_once_and_in_order(
    sizes: list[int], capacity: int, limit: int
) -> None:
    async def play() -> list[int]:
        channel = Channel("x", capacity)
        packets = deque(items_of(sum(sizes)))

        async def send() -> None:
            for size in sizes:
                await channel.send(deque(packets.popleft() for _ in range(size)))
            channel.close()

        sender = asyncio.create_task(send())
        got: list[int] = []
        try:
            while True:
                batch = await channel.receive(limit)
                assert 1 <= len(batch) <= limit
                got += indices(batch)
        except ChannelClosed:
            await sender
            return got

    assert asyncio.run(play()) == list(range(sum(sizes)))


async def test_a_collector_takes_turns_between_sources() -> None:
    collector = Collector()
    channels = {name: Channel(name, 9, source_id=name) for name in "abc"}
    for channel in channels.values():
        collector.add(channel)
    await channels["a"].send(items_of(5, "a"))
    await channels["b"].send(items_of(2, "b"))
    await channels["c"].send(items_of(1, "c"))
    batch = await collector.receive(6)
    assert [packet.source_id for packet in batch if isinstance(packet, Packet)] == ["a", "b", "c", "a", "b", "a"]


async def test_a_source_that_ends_is_marked_after_its_last_packet() -> None:
    collector = Collector()
    channel = Channel("a", 9, source_id="a")
    collector.add(channel)
    collector.seal()
    await channel.send(items_of(2, "a"))
    channel.close()
    assert indices(await collector.receive(9)) == [0, 1]
    assert await collector.receive(9) == [SourceEnded("a")]
    with pytest.raises(ChannelClosed):
        await collector.receive(9)


async def test_an_unsealed_collector_waits_for_sources_still_to_come() -> None:
    collector = Collector()
    receiver = asyncio.create_task(collector.receive(1))
    await asyncio.sleep(0)
    assert not receiver.done()
    late = Channel("late", 1, source_id="late")
    await late.send(items_of(1, "late"))
    collector.add(late)
    assert indices(await receiver) == [0]
    collector.seal()
    late.close()
    assert await collector.receive(1) == [SourceEnded("late")]


async def test_a_sealed_collector_without_sources_is_at_its_end() -> None:
    collector = Collector()
    collector.seal()
    with pytest.raises(ChannelClosed):
        await collector.receive(1)
