"""`linnet probe`: what a broker is and can do, and what failed."""

import json

from linnet.errors import ReasonCode
from linnet.testing import BlockingBroker
from tests.cli.conftest import Cli


def outcomes(said: bytes) -> dict[str, str]:
    return {finding["name"]: finding["outcome"] for finding in json.loads(said)["findings"]}


def test_everything_is_tried_and_nothing_is_left_behind(cli: Cli, served: BlockingBroker) -> None:
    result = cli("probe", f"127.0.0.1:{served.port}", "--json")
    assert (result.code, result.err) == (0, "")
    found = outcomes(result.out)
    assert set(found.values()) == {"ok"}
    assert {"MQTT 5.0", "MQTT 3.1.1", "MQTT 3.1", "ping", "publish and receive, QoS 2", "retained messages"} < set(
        found
    )
    assert json.loads(result.out)["announced"]["maximum QoS"] == 2
    assert served.retained == {}
    assert served.sessions == {}


def test_what_is_not_offered_is_no_failure(cli: Cli) -> None:
    with BlockingBroker(versions="3.1.1,5.0", max_qos=1, retain_available=False, shared_subscriptions=False) as modest:
        result = cli("probe", modest.url, "--json")
        assert result.code == 0
        found = outcomes(result.out)
        for name in ("MQTT 3.1", "publish and receive, QoS 2", "retained messages", "shared subscriptions"):
            assert found.pop(name) == "no"
        assert found.pop("acknowledge, QoS 2") == "no"
        assert set(found.values()) == {"ok"}


def test_what_fails_is_told(cli: Cli, served: BlockingBroker) -> None:
    served.deny("linnet/probe/+/retain", subscribe=False, reason_code=ReasonCode.QUOTA_EXCEEDED)
    result = cli("probe", served.url)
    assert result.code == 1
    line = next(line for line in result.out.decode().splitlines() if "retained messages  " in line and "failed" in line)
    assert "quota exceeded" in line
    assert result.out.decode().count("failed") == 1


def test_an_old_broker_is_probed_in_its_version(cli: Cli) -> None:
    with BlockingBroker(versions="3.1.1") as old:
        result = cli("probe", old.url, "--json")
        assert result.code == 0
        assert json.loads(result.out)["version"] == "3.1.1"
        assert outcomes(result.out)["MQTT 5.0"] == "no"


def test_nobody_who_listens_is_an_error(cli: Cli) -> None:
    result = cli("probe", "127.0.0.1:1")
    assert result.code == 1
    assert result.err.count("\n") == 1 and "connection refused" in result.err


def test_a_refusal_is_the_exit_code(cli: Cli, served: BlockingBroker) -> None:
    served.refuse(None, ReasonCode.BANNED)
    result = cli("probe", served.url)
    assert (result.code, result.out) == (0x8A, b"")
    assert "banned" in result.err


def test_a_topic_is_not_probed(cli: Cli) -> None:
    assert cli("probe", "mqtt://host/topic").code == 1
    assert "not a topic" in cli("probe", "mqtt://host/topic").err
