"""The servers of a client, and the order in which they are tried."""

from __future__ import annotations

import pytest

from linnet.client.address import Address, parse_addresses
from linnet.client.events import Events, Moved
from linnet.client.places import MOST_MOVES, Places


def places(*urls: str) -> tuple[Places, list[Moved]]:
    events = Events()
    told: list[Moved] = []
    events.add(Moved, told.append)
    return Places(parse_addresses(list(urls)), events), told


def hosts(addresses: list[Address]) -> list[str]:
    return [address.host for address in addresses]


def test_all_are_tried_in_their_order() -> None:
    found, _ = places("mqtt://a,b", "mqtt://c")
    assert hosts(found.turn()) == ["a", "b", "c"]


def test_the_one_that_worked_is_tried_first_the_next_time() -> None:
    found, _ = places("mqtt://a,b,c")
    found.found(found.turn()[1])
    assert hosts(found.turn()) == ["b", "c", "a"]


def test_a_server_that_was_named_is_tried_first_and_once() -> None:
    found, told = places("mqtt://a,b")
    found.move("c d:1884", False, found.addresses[0])
    assert found.is_redirected
    first = found.turn()
    assert hosts(first) == ["c", "d", "a", "b"]
    assert [address.port for address in first] == [1883, 1884, 1883, 1883]
    assert hosts(found.turn()) == ["a", "b"]
    assert told == [Moved("c d:1884", False)]


def test_a_server_that_was_named_for_good_comes_before_all_others_from_then_on() -> None:
    found, told = places("mqtt://a,b")
    found.move("c", True, found.addresses[0])
    found.turn()
    assert hosts(found.turn()) == ["c", "a", "b"]
    assert told == [Moved("c", True)]


def test_names_are_reached_as_the_server_was_that_named_them_and_by_the_same_user() -> None:
    found, _ = places("mqtt://a", "mqtts://user:secret@b")
    found.turn()
    found.move("c", False, found.addresses[1])
    [named] = found.redirected
    assert (named.scheme, named.port, named.user_name, named.password) == ("mqtts", 8883, "user", "secret")


@pytest.mark.parametrize("reference", ["mqtt://c", "ws://c", "mqtt://c ws://d"])
def test_tls_is_never_left(reference: str) -> None:
    found, told = places("mqtts://a")
    found.move(reference, True, found.addresses[0])
    assert not found.is_redirected
    assert hosts(found.turn()) == ["a"]
    assert told == []


def test_a_server_without_tls_may_name_one_with_it() -> None:
    found, _ = places("mqtt://a")
    found.move("mqtts://b", False, found.addresses[0])
    assert [(address.host, address.is_tls) for address in found.turn()] == [("b", True), ("a", False)]


@pytest.mark.parametrize("reference", [None, "", "   ", "://", "mqtt://", "c:99999", "http://c", "[::1"])
def test_a_name_that_is_none_changes_nothing(reference: str | None) -> None:
    found, told = places("mqtt://a")
    found.move(reference, True, found.addresses[0])
    assert hosts(found.turn()) == ["a"]
    assert told == []


def test_a_name_that_is_none_beside_one_that_is() -> None:
    found, _ = places("mqtt://a")
    found.move("c:99999 d", False, found.addresses[0])
    assert hosts(found.turn()) == ["d", "a"]


def test_servers_that_name_each_other_are_followed_only_so_far() -> None:
    found, told = places("mqtt://a")
    for _ in range(MOST_MOVES):
        found.move("b", False, found.addresses[0])
        assert found.is_redirected
        found.turn()
    found.move("b", False, found.addresses[0])
    assert not found.is_redirected  # a pause comes now
    assert len(told) == MOST_MOVES


def test_it_tells_what_it_is_without_passwords() -> None:
    found, _ = places("mqtt://user:secret@a")
    assert "secret" not in repr(found)
