"""Any packet, in any version: written and read again it is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import ProtocolError
from linnet.wire import FrameReader, Packet, Properties, Reader, Version, decode
from linnet.wire.properties import TABLE
from tests.strategies import packets, properties


@given(packets)
def test_what_is_written_is_read_as_the_same(version_and_packet: tuple[Version, Packet]) -> None:
    version, packet = version_and_packet
    assert decode(packet.encode(version), version) == packet


@given(packets)
def test_writing_twice_gives_the_same_bytes(version_and_packet: tuple[Version, Packet]) -> None:
    version, packet = version_and_packet
    data = packet.encode(version)
    assert decode(data, version).encode(version) == packet.encode(version) == data


@given(packets, st.data())
def test_a_packet_cut_anywhere_is_refused_with_its_announced_length(
    version_and_packet: tuple[Version, Packet], data: st.DataObject
) -> None:
    version, packet = version_and_packet
    whole = packet.encode(version)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ProtocolError):
        decode(whole[:end], version)


@given(packets, st.binary(min_size=1, max_size=20))
def test_bytes_behind_a_packet_are_refused(version_and_packet: tuple[Version, Packet], more: bytes) -> None:
    version, packet = version_and_packet
    with pytest.raises(ProtocolError):
        decode(packet.encode(version) + more, version)


@given(st.lists(packets, min_size=1, max_size=5), st.data())
def test_packets_come_out_of_a_stream_however_it_is_cut(
    several: list[tuple[Version, Packet]], data: st.DataObject
) -> None:
    stream = b"".join(packet.encode(version) for version, packet in several)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    frames = FrameReader(maximum=1 << 20)
    found: list[tuple[Version, Packet]] = []
    for start, stop in zip([0, *places], [*places, len(stream)], strict=True):
        if start < stop:
            frames.feed(stream[start:stop])
            while frames.next():
                version = several[len(found)][0]
                found.append((version, decode(frames.data[frames.start : frames.stop], version)))
    assert found == several
    assert frames.rest() == 0


@given(st.sampled_from(range(16)).flatmap(lambda kind: st.tuples(st.just(kind), properties(kind))))
def test_properties_are_read_as_they_were_written(pair: tuple[int, Properties]) -> None:
    kind, written = pair
    if kind in (12, 13):
        written = Properties()  # PINGREQ and PINGRESP have none
    reader = Reader(written.encode(kind) + b"rest")
    assert Properties.decode(reader, kind) == written
    assert reader.rest() == b"rest"


@given(properties(3))
def test_the_repr_of_properties_names_what_is_there(some: Properties) -> None:
    present = {row.name for row in TABLE if getattr(some, row.name) not in (None, [])}
    assert eval(repr(some), {"Properties": Properties}) == some
    assert all(f"{name}=" in repr(some) for name in present)
