"""`linnet sub`: what it prints and when it ends, also beside the original with the same words."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from linnet.cli import sub
from linnet.errors import ReasonCode
from linnet.testing import BlockingBroker
from linnet.wire.properties import Properties
from tests.cli.conftest import Cli
from tests.cli.test_pub import fault as pub_fault
from tests.interop.tools import program

BOUND = 20  # seconds; a process that takes so long hangs


def fault(words: str) -> str:
    return pub_fault(words, sub.VERB)


def messages(served: BlockingBroker) -> None:
    """Retained messages of many kinds."""
    told = Properties(content_type="c", user_properties=[("k", "v")], response_topic="r", message_expiry_interval=1000)
    served.publish("t/a", "alpha", retain=True)
    served.publish("t/b", b"\x00\xff\n", qos=1, retain=True)
    served.publish("t/c", '{"a":[1,"é"]}', qos=2, retain=True, properties=told)
    served.publish("t/d/e", " spaced ", retain=True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "a topic to subscribe to is needed"),
        ("-t a/#/b", "'#' the last one only"),
        ("-t a+", "'+' and '#' each fill a level"),
        ("-t a -C 0", "-C needs a number from 1"),
        ("-t a -W 0", "at least 0.001"),
        ("-t a -R --retained-only", "leave nothing over"),
        ("-t a -F %z", "means nothing there"),
        ("-t a -r", "-r is no option of sub"),
        ("-t a --random-filter 101", "a percentage"),
        ("-t a -c", "needs a client identifier"),
        ("mqtt://host/a/#/b", "'#' the last one only"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(words: str, complaint: str) -> None:
    assert complaint in fault(words)


@pytest.mark.interop
@pytest.mark.parametrize(
    "words",
    [
        "-t t/# -C 4",
        "-t t/# -C 4 -v",
        "-t t/# -C 2 -N -q 2",
        "-t t/+ -C 3 -q 2 -F %t|%q|%r|%l|%x|%-8p|%m",
        "-t t/c -C 1 -V 5 -F %C|%P|%R|%E|%F|%D|%S",
        "-t t/a -t t/d/e -C 2 -F %p\\0%5q\\t%%",
        "-t t/# -T t/+ -C 1",
        "-t t/# -E",
        "-t t/# -C 1 -V 31",
        "-t t/a",
        "-t t/a -F %",
        "-t t/a -C none",
        "-t",
        "-t t/a -R --retained-only",
        "-t t/a -c",
        "-L mqtt://127.0.0.1:{port}/t/a -C 1",
        "-t t/a -C 1 -u me -P secret -k 20 -i id --will-topic gone --will-payload x --nodelay -A 127.0.0.1",
    ],
)
def test_the_original_prints_and_ends_the_same_way(
    cli: Cli, served: BlockingBroker, words: str, tmp_path: Path
) -> None:
    messages(served)
    served.refuse(None, ReasonCode.NOT_AUTHORIZED) if words == "-t t/a" else None
    line = ["-h", "127.0.0.1", "-p", str(served.port), *words.format(port=served.port).split(" ")]
    theirs = subprocess.run(
        [program("mosquitto_sub", "mosquitto-clients"), *line],
        capture_output=True,
        timeout=BOUND,
        env={"HOME": str(tmp_path)},
    )
    versions = [] if "-V" in line or "-D" in line else ["-V", "311"]
    ours = cli("sub", *versions, *line)
    assert ours.out == theirs.stdout
    assert ours.code == theirs.returncode
    assert bool(ours.err) == bool(theirs.stderr)


@pytest.mark.interop
def test_the_original_prints_the_same_json(cli: Cli, served: BlockingBroker) -> None:
    messages(served)
    line = ["-h", "127.0.0.1", "-p", str(served.port), "-t", "t/c", "-C", "1", "-V", "5", "-q", "2"]
    for form in ("%j", "%J"):
        said = subprocess.run([program("mosquitto_sub", "mosquitto-clients"), *line, "-F", form], capture_output=True)
        theirs, ours = json.loads(said.stdout), json.loads(cli("sub", *line, "-F", form).out)
        assert theirs.pop("tst") and ours.pop("tst")
        assert ours == theirs


def test_the_url_may_come_first(cli: Cli, served: BlockingBroker) -> None:
    messages(served)
    assert cli("sub", f"{served.url}/t/#", "-C", 1, "-v").out == b"t/a alpha\n"


def test_messages_are_printed_as_they_come_and_acknowledged(cli: Cli, served: BlockingBroker) -> None:
    def publish() -> None:
        served.wait_for("SUBACK")
        for number in range(3):
            assert served.publish("t/n", str(number), qos=1) == 1

    result = cli("sub", "-p", served.port, "-t", "t/#", "-q", 1, "-C", 3, meanwhile=publish)
    assert (result.code, result.out, result.err) == (0, b"0\n1\n2\n", "")
    assert len(served.packets.select("PUBACK", direction="in")) == 3


def test_lines_of_json_are_published_as_they_were(cli: Cli, served: BlockingBroker) -> None:
    messages(served)
    lines = cli("sub", "-p", served.port, "-t", "t/#", "-q", 2, "-C", 4, "--json").out
    with BlockingBroker() as other:
        assert cli("pub", "-p", other.port, "--json", stdin=lines).code == 0
        for topic, message in served.retained.items():
            came = other.retained[topic]
            assert (came.payload, came.qos) == (message.payload, message.qos)
            assert came.properties == message.properties


def test_nothing_in_time_is_exit_code_27(cli: Cli, served: BlockingBroker) -> None:
    result = cli("sub", "-p", served.port, "-t", "none", "-W", 0.1)
    assert (result.code, result.out, result.err) == (27, b"", "linnet sub: timed out after 0.1 s\n")


@pytest.mark.parametrize(("version", "count"), [("5", 1), ("311", 0)])
def test_the_will_is_sent_when_the_time_is_over(cli: Cli, served: BlockingBroker, version: str, count: int) -> None:
    words = ["--will-topic", "gone", "--will-payload", "w", "--will-retain", "-t", "none", "-W", 0.1, "-V", version]
    assert cli("sub", "-p", served.port, *words).code == 27
    served.wait_for("CLOSED")
    assert len(served.retained) == count


def test_a_refused_subscription_is_an_error_and_the_others_go_on(cli: Cli, served: BlockingBroker) -> None:
    messages(served)
    served.deny("no/#", reason_code=ReasonCode.QUOTA_EXCEEDED)
    alone = cli("sub", "-p", served.port, "-t", "no/a")
    assert alone.code == 0x97
    assert "'no/a'" in alone.err and "quota exceeded" in alone.err
    beside = cli("sub", "-p", served.port, "-t", "t/a", "-t", "no/a", "-t", "t/a/b", "-C", 1)
    assert (beside.code, beside.out, beside.err) == (0x97, b"alpha\n", alone.err)


@pytest.mark.parametrize("version", ["5", "311"])
def test_a_session_is_kept_and_left(cli: Cli, served: BlockingBroker, version: str) -> None:
    words = ["-p", served.port, "-i", "me", "-c", "-q", 1, "-V", version]
    assert cli("sub", *words, "-t", "t/#", "-t", "u", "-E").code == 0
    assert served.publish("t/x", "waited", qos=1) == 1
    assert cli("sub", *words, "-t", "t/#", "-C", 1).out == b"waited\n"
    assert cli("sub", *words, "-U", "t/#", "-E").code == 0
    assert served.publish("t/x", "nobody", qos=1) == 0
    assert served.publish("u", "somebody", qos=1) == 1


def test_an_option_that_an_old_version_lacks_is_an_error(cli: Cli, served: BlockingBroker) -> None:
    result = cli("sub", "-p", served.port, "-t", "t", "-V", "311", "--no-local", "-W", 5)
    assert (result.code, result.out) == (0x83, b"")
    assert "MQTT 3.1.1 knows no subscription options" in result.err


def test_what_the_library_warns_of_is_told_unless_quiet(cli: Cli, served: BlockingBroker) -> None:
    words = ["-p", served.port, "-i", "me", "-c", "-q", 1]
    cli("sub", *words, "-t", "old", "-E")
    served.publish("old", "waits", qos=1)
    result = cli("sub", *words, "-t", "new", "-W", 0.1)
    assert "linnet sub: a message to 'old' is for no subscription" in result.err
    assert cli("sub", *words, "-t", "new", "-W", 0.1, "--quiet").err == ""
    assert cli("sub", *words, "-t", "old", "-C", 1).out == b"waits\n"


@pytest.mark.parametrize("version", ["5", "311"])
def test_retained_messages_are_left_out_or_cleared(cli: Cli, served: BlockingBroker, version: str) -> None:
    messages(served)

    def publish() -> None:
        served.wait_for("SUBACK")
        served.publish("t/live", "live", qos=1)

    words = ["-t", "t/#", "-R", "-C", 1, "-V", version, "--retain-as-published"]
    assert cli("sub", "-p", served.port, *words, meanwhile=publish).out == b"live\n"
    words = ["-t", "t/+", "-T", "t/a", "--remove-retained", "-F", "%t", "-C", 2, "-V", version]
    assert cli("sub", "-p", served.port, *words).out == b"t/b\nt/c\n"
    assert set(served.retained) == {"t/a", "t/d/e"}


def test_the_first_message_that_is_not_retained_ends_it(cli: Cli, served: BlockingBroker) -> None:
    messages(served)

    def publish() -> None:
        served.wait_for("SUBACK")
        served.publish("t/live", "live")

    words = ["-t", "t/#", "--retained-only", "-F", "%t"]
    assert cli("sub", "-p", served.port, *words, meanwhile=publish).out == b"t/a\nt/b\nt/c\nt/d/e\n"


def test_a_payload_that_is_no_json_is_told(cli: Cli, served: BlockingBroker) -> None:
    messages(served)
    result = cli("sub", "-p", served.port, "-t", "t/a", "-C", 1, "-F", "%J")
    assert (result.code, result.out) == (0, b"\n")
    assert result.err == "linnet sub: the payload on topic t/a is not JSON\n"


def test_a_lost_connection_is_told_and_opened_again(cli: Cli, served: BlockingBroker) -> None:
    def cut() -> None:
        served.wait_for("SUBACK")
        served.cut()
        served.wait_for("CONNACK")
        served.wait_for("CONNACK")
        while not served.publish("t", "after", qos=1):
            pass

    result = cli("sub", "-p", served.port, "-t", "t", "-q", 1, "-C", 1, meanwhile=cut)
    assert (result.code, result.out) == (0, b"after\n")
    assert "connecting again in" in result.err and result.err.count("\n") == 1


def subscriber(served: BlockingBroker, out: int) -> "subprocess.Popen[bytes]":
    """A process that is subscribed."""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    process = subprocess.Popen(
        [sys.executable, "-m", "linnet", "sub", "-p", str(served.port), "-t", "t"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=out,
        stderr=subprocess.PIPE,
    )
    served.wait_for("SUBACK")
    return process


@pytest.mark.system
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_quietly_and_with_a_goodbye(served: BlockingBroker, number: signal.Signals, code: int) -> None:
    with subscriber(served, subprocess.PIPE) as process:
        served.publish("t", "flushed")
        assert process.stdout is not None and process.stdout.readline() == b"flushed\n"
        process.send_signal(number)
        assert process.communicate(timeout=BOUND) == (b"", b"")
        assert process.returncode == code
    served.wait_for("DISCONNECT", direction="in")


@pytest.mark.system
def test_a_reader_that_goes_ends_it_quietly(served: BlockingBroker) -> None:
    reader, writer = os.pipe()
    with subscriber(served, writer) as process:
        os.close(writer)
        os.close(reader)
        served.publish("t", "too late")
        assert process.communicate(timeout=BOUND)[1] == b""
        assert process.returncode == 141
