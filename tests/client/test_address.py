"""URLs to addresses and back, and what is said about those that are none."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linnet.client.address import SCHEMES, Address, AddressError, Scheme, parse_addresses, split_topic
from linnet.errors import LinnetError
from tests.core.steady import STEADY

names = st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True)
hosts = names | st.ip_addresses().map(str)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
schemes: st.SearchStrategy[Scheme] = st.sampled_from(["mqtt", "mqtts", "ws", "wss"])
ports = st.integers(1, 65535)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://host", Address("mqtt", "host", 1883)),
        ("mqtt://host/", Address("mqtt", "host", 1883)),
        ("mqtts://host", Address("mqtts", "host", 8883)),
        ("ws://host", Address("ws", "host", 80, "/mqtt")),
        ("wss://host", Address("wss", "host", 443, "/mqtt")),
        ("wss://host/", Address("wss", "host", 443, "/")),
        ("wss://host/a/b?x=1&y=%2F", Address("wss", "host", 443, "/a/b?x=1&y=%2F")),
        ("ws://host?x=1", Address("ws", "host", 80, "/mqtt?x=1")),
        ("ws://host/a b", Address("ws", "host", 80, "/a%20b")),
        ("mqtt://user:p%40ss@host:1884/", Address("mqtt", "host", 1884, "", "user", "p@ss")),
        ("mqtt://user:p@ss@host", Address("mqtt", "host", 1883, "", "user", "p@ss")),
        ("mqtt://us%3Aer:a:b@host", Address("mqtt", "host", 1883, "", "us:er", "a:b")),
        ("mqtt://user@host", Address("mqtt", "host", 1883, "", "user")),
        ("mqtt://user:@host", Address("mqtt", "host", 1883, "", "user", "")),
        ("mqtt://:token@host", Address("mqtt", "host", 1883, "", None, "token")),
        ("mqtt://100%@host", Address("mqtt", "host", 1883, "", "100%")),
        ("MQTT://Host", Address("mqtt", "Host", 1883)),
        (" mqtt://host\n", Address("mqtt", "host", 1883)),
        ("mqtt://höst.example", Address("mqtt", "höst.example", 1883)),
        ("mqtt://[::1]", Address("mqtt", "::1", 1883)),
        ("mqtt://[0:0::1]:1884", Address("mqtt", "::1", 1884)),
        ("mqtt://[fe80::1%25eth0]", Address("mqtt", "fe80::1%eth0", 1883)),
        ("mqtt://[fe80::1%eth0]", Address("mqtt", "fe80::1%eth0", 1883)),
        ("host", Address("mqtt", "host", 1883)),
        ("host:1884", Address("mqtt", "host", 1884)),
        ("user:pass@host:1884", Address("mqtt", "host", 1884, "", "user", "pass")),
        ("[::1]:1884", Address("mqtt", "::1", 1884)),
        ("unix:///run/mosquitto.sock", Address("unix", path="/run/mosquitto.sock")),
        ("unix:/run/mosquitto.sock", Address("unix", path="/run/mosquitto.sock")),
        ("mqtt+unix:///run/a%20b@c", Address("unix", path="/run/a b@c")),
        ("unix://user:pass@/run/x", Address("unix", path="/run/x", user_name="user", password="pass")),
    ],
)
def test_a_url_names_an_address(url: str, address: Address) -> None:
    assert parse_addresses(url) == [address]


@pytest.mark.parametrize(
    ("alias", "scheme"),
    [
        ("tcp", "mqtt"),
        ("ssl", "mqtts"),
        ("tls", "mqtts"),
        ("mqtt+ssl", "mqtts"),
        ("mqtt+tls", "mqtts"),
        ("mqtt+ws", "ws"),
        ("mqtt+wss", "wss"),
    ],
)
def test_other_tools_names_are_understood(alias: str, scheme: Scheme) -> None:
    assert parse_addresses(f"{alias}://host:7") == parse_addresses(f"{scheme}://host:7")


def test_every_scheme_is_its_own_name() -> None:
    assert {SCHEMES[scheme] for scheme in SCHEMES.values()} == {"mqtt", "mqtts", "ws", "wss", "unix"}
    assert all(SCHEMES[scheme] == scheme for scheme in SCHEMES.values())


def test_one_url_may_name_several_hosts() -> None:
    assert parse_addresses("mqtts://u:p@a,b:1884,[::1]:1885/") == [
        Address("mqtts", "a", 8883, "", "u", "p"),
        Address("mqtts", "b", 1884, "", "u", "p"),
        Address("mqtts", "::1", 1885, "", "u", "p"),
    ]


def test_several_urls_keep_their_order() -> None:
    assert [str(address) for address in parse_addresses(["b,a:7", "ws://c"])] == [
        "mqtt://b:1883",
        "mqtt://a:7",
        "ws://c:80/mqtt",
    ]


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "host is missing"),
        ("mqtt://", "host is missing"),
        ("mqtt://user@/", "host is missing"),
        ("mqtt://:1883", "host is missing"),
        ("mqtt://a,,b", "host is missing"),
        ("mqtt://host:0", "port of 'host'"),
        ("mqtt://host:65536", "port of 'host'"),
        ("mqtt://host:", "port of 'host'"),
        ("mqtt://host:１８", "port of 'host'"),
        ("mqtt://[::1]:x", "port of"),
        ("mqtt://[::1", "IPv6 address is written"),
        ("mqtt://[::1]7", "IPv6 address is written"),
        ("mqtt://[host]", "not an IPv6 address"),
        ("::1", "in brackets"),
        ("mqtt://a b", "not the name of a host"),
        ("mqtt://a\tb", "not the name of a host"),
        ("mqtt://a%20b", "not the name of a host"),
        ("mqtt://host/topic", "a topic is told apart"),
        ("mqtt://host?x", "a topic is told apart"),
        ("mqtt://host#x", "a topic is told apart"),
        ("ws://host/mqtt#x", "no '#' part"),
        ("http://host", "mqtt, mqtts, ws, wss, unix are"),
        ("unix://run/x", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///", "names no socket"),
        ("unix:///run/%00", "names no socket"),
        ("unix:///run/a?b", "%3F"),
        ("unix:///run/%FF", "percent-encoded UTF-8"),
        ("mqtt://%FF@host", "percent-encoded UTF-8"),
        ("ws://host/\udc80", "is UTF-8"),
        ("mqtt://a:b@c,d:e@f", "list of URLs"),
    ],
)
def test_a_bad_address_is_told_what_is_wrong(url: str, what: str) -> None:
    with pytest.raises(AddressError, match=what) as caught:
        parse_addresses(url)
    assert isinstance(caught.value, LinnetError) and isinstance(caught.value, ValueError)


def test_no_address_at_all_is_an_error() -> None:
    with pytest.raises(AddressError, match="no address"):
        parse_addresses([])
    with pytest.raises(AddressError, match="not bytes"):
        parse_addresses([b"mqtt://host"])  # type: ignore[list-item]


@pytest.mark.parametrize("secret", ["sec/ret", "sec?ret", "sec#ret", "sec,ret/", "sec:ret/", "[secret/", "s3cr3t/@"])
@pytest.mark.parametrize("scheme", ["mqtt", "wss"])
def test_a_password_with_a_forgotten_escape_is_not_shown(scheme: str, secret: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_addresses(f"{scheme}://user:{secret}@host")
    assert "ret" not in str(caught.value) and "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mqtt://user:sesame", "mqtt://user:sesame@", "mqtt://user:sesame@host/x", "user:sesame@h:x"]
)
def test_a_password_at_the_wrong_place_is_not_shown(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_addresses(url)
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_address_shows_neither_its_password_nor_its_query() -> None:
    [address] = parse_addresses("wss://user:sesame@host/mqtt?token=sesame")
    assert str(address) == "wss://user@host:443/mqtt"
    assert repr(address) == "<Address wss://user@host:443/mqtt>"
    assert (address.path, address.password) == ("/mqtt?token=sesame", "sesame")


@pytest.mark.parametrize(
    ("scheme", "is_tls", "is_websocket"),
    [("mqtt", False, False), ("mqtts", True, False), ("ws", False, True), ("wss", True, True), ("unix", False, False)],
)
def test_the_scheme_tells_how_to_connect(scheme: Scheme, is_tls: bool, is_websocket: bool) -> None:
    address = Address(scheme, "host", 1)
    assert (address.is_tls, address.is_websocket) == (is_tls, is_websocket)


@STEADY
@given(schemes, hosts, ports, texts.filter(bool) | st.none(), texts | st.none())
@example("mqtt", "::1", 1, "/@:#?%", "/@:#?%,[")
def test_an_address_comes_back_from_its_url(
    scheme: Scheme, host: str, port: int, user_name: str | None, password: str | None
) -> None:
    path = "/mqtt" if scheme in ("ws", "wss") else ""
    address = Address(scheme, host, port, path, user_name, password)
    assert parse_addresses(str(address)) == [Address(scheme, host, port, path, user_name)]
    secret = "" if password is None else ":" + quote(password, safe="")
    user = "" if user_name is None else quote(user_name, safe="")
    name = f"[{host}]" if ":" in host else host
    assert parse_addresses(f"{scheme}://{user}{secret}@{name}:{port}") == [address]


@STEADY
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
        lambda text: text[-1] != "/"
    )
)
def test_a_socket_comes_back_from_its_url(path: str) -> None:
    address = Address("unix", path="/" + path)
    assert parse_addresses(str(address)) == [address]


@STEADY
@given(st.text(max_size=40) | st.text("mqtw+s:/@[]%,.?#1 ", max_size=20).map(lambda rest: "mqtt://" + rest))
def test_any_text_is_an_address_or_an_address_error(url: str) -> None:
    try:
        addresses = parse_addresses(url)
    except AddressError:
        return
    assert addresses and all(address.host or address.path for address in addresses)


@pytest.mark.parametrize(
    ("url", "address", "topic"),
    [
        ("mqtt://host/some/topic", "mqtt://host", "some/topic"),
        ("mqtts://u:p@host:1/home/#", "mqtts://u:p@host:1", "home/#"),
        ("mqtt://host/a?b%20c", "mqtt://host", "a?b%20c"),
        ("mqtt://host//a/", "mqtt://host", "/a/"),
        ("mqtt://a,b/t", "mqtt://a,b", "t"),
        ("mqtt://host", "mqtt://host", ""),
        ("mqtt://host/", "mqtt://host", ""),
        ("host/a://b", "host", "a://b"),
        ("ws://host/mqtt", "ws://host/mqtt", ""),
        ("unix:///run/x", "unix:///run/x", ""),
    ],
)
def test_a_topic_may_follow_the_host(url: str, address: str, topic: str) -> None:
    assert split_topic(url) == (address, topic)


def test_a_topic_needs_a_scheme_that_is_known() -> None:
    with pytest.raises(AddressError, match="http://"):
        split_topic("http://host/topic")
