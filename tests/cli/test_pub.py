"""`linnet pub`: its words, where its messages come from, and what its exit code tells."""

import io
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linnet.cli import client_options, connecting, pub, rr, sub, teller
from linnet.cli.asked import Asked, UsageError
from linnet.cli.client_config import load
from linnet.cli.grammar import help_of
from linnet.cli.passwords import password_of
from linnet.errors import ReasonCode
from linnet.testing import BlockingBroker
from linnet.wire.connect import NEVER, Connect
from linnet.wire.publish import Publish
from linnet.wire.version import V3_1, V3_1_1, V5
from tests.cli.conftest import Cli
from tests.interop.tools import program

FULL_WORDS = "-h broker -p 1884 -u me -P secret -i id -k 30 -q 1 -V 311 -x 60 -M 5 -A 127.0.0.1 -W 2.5 -r --quiet -d"


def asked(line: str | list[str], verb: Any = pub.VERB, environment: dict[str, str] | None = None) -> Asked:
    """What these words ask for, once they were checked."""
    made = load(verb, line.split() if isinstance(line, str) else line, environment or {})
    client_options.check(made)
    (pub if verb is pub.VERB else sub).check(made)
    return made


def fault(line: str | list[str], verb: Any = pub.VERB) -> str:
    with pytest.raises(UsageError) as raised:
        asked(line, verb)
    return str(raised.value)


def test_the_letters_mean_what_they_mean_to_mosquitto() -> None:
    made = asked(f"-t a/b -m x {FULL_WORDS}")
    assert (made.topic, made.source, made.message) == ("a/b", "message", "x")
    assert (made.host, made.port, made.user_name, made.password, made.client_id) == (
        "broker",
        1884,
        "me",
        "secret",
        "id",
    )
    assert (made.keep_alive, made.qos, made.version, made.session_expiry) == (30, 1, V3_1_1, 60)
    assert (made.max_inflight, made.bind_address, made.timeout) == (5, "127.0.0.1", 2.5)
    assert made.retain and made.quiet and made.debug and made.password_in_words


def test_long_names_are_the_same() -> None:
    long = "--host broker --port 1884 --username me --pw=secret --topic a/b --message x --retain --id id --keepalive 30"
    short = "-h broker -p 1884 -u me -P secret -t a/b -m x -r -i id -k 30"
    assert asked(long) == asked(short)


def test_a_value_may_look_like_an_option() -> None:
    made = asked(["-m", "-5", "-t", "--help"])
    assert (made.message, made.topic, made.help) == ("-5", "--help", False)


@pytest.mark.parametrize(
    ("word", "version"),
    [("5", V5), ("mqttv5", V5), ("311", V3_1_1), ("mqttv311", V3_1_1), ("31", V3_1), ("mqttv31", V3_1)],
)
def test_versions(word: str, version: object) -> None:
    assert asked(f"-t a -n -V {word}").version is version


@pytest.mark.parametrize(("word", "seconds"), [("0", 0), ("7", 7), ("-1", NEVER), ("∞", NEVER), ("4294967295", NEVER)])
def test_session_expiry(word: str, seconds: int) -> None:
    assert asked(f"-t a -n -i me -x {word}").session_expiry == seconds


def test_properties_go_to_their_packets() -> None:
    line = (
        "-t a -n -D publish content-type x_y -D PUBLISH user-property k v -D connect receive-maximum 7 --will-topic w"
        " -D will will-delay-interval 3 -D publish correlation-data c"
    )
    made = asked([word.replace("_", " ") for word in line.split()])
    assert made.properties["publish"].content_type == "x y"
    assert made.properties["publish"].user_properties == [("k", "v")]
    assert made.properties["publish"].correlation_data == b"c"
    assert made.properties["connect"].receive_maximum == 7
    assert made.properties["will"].will_delay_interval == 3
    assert made.version is V5


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("-t a", "a message is needed"),
        ("-m x", "a topic to publish to is needed"),
        ("-t a/# -m x", "no '+' or '#'"),
        ("-t a -m x -n", "only one kind of message"),
        ("-t a -m x --zz", "--zz is no option of pub"),
        ("-t a -m x --retian", "did you mean --retain?"),
        ("-t a -m x -q 3", "-q needs a number from 0 to 2, not '3'"),
        ("-t a -m x -q", "-q needs a number"),
        ("-t a -m x word", "neither an option nor a URL"),
        ("-t a -n -V 4", "-V is one of"),
        ("-t a -n -C 1", "-C is no option of pub"),
        ("-t a -n -c", "needs a client identifier"),
        ("-t a -n -i a -I b", "cannot be used together"),
        ("-t a -n --will-payload x", "a will needs a --will-topic"),
        ("-t a -n --cert x", "--cert and --key belong together"),
        ("-t a -n --psk 12 --psk-identity me", "not supported, for Python has it since 3.13 only"),
        ("-t a -n -D publish content-type", "needs a value"),
        ("-t a -n -D publisch content-type x", "did you mean publish?"),
        ("-t a -n -D puback user-property a b", "there is no command 'puback'"),
        ("-t a -n -D connect content-type x", "does not belong in CONNECT"),
        ("-t a -n -D publish payload-format-indicator x", "needs a number from 0 to 1"),
        ("-t a -n -L host/topic", "a URL begins with one of mqtt"),
        ("-t a -n -L mqtt://host:x/topic", "'x' is no port"),
        ("-t a -l --repeat 2", "--repeat is for a single message"),
        ("-t a -n -S", "not looked up in the DNS"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(words: str, complaint: str) -> None:
    assert complaint in fault(words)


@pytest.mark.parametrize(
    ("line", "scheme", "host", "port", "login", "topic"),
    [
        ("mqtt://host/a/b", "mqtt", "host", None, (None, None), "a/b"),
        ("mqtts://u@host:1/a", "mqtts", "host", 1, ("u", None), "a"),
        ("mqtt://u%40x:p%2F@[::1]:1884/a", "mqtt", "::1", 1884, ("u@x", "p/"), "a"),
        ("-L mqtt://u%40x:p@host/a", "mqtt", "host", None, ("u%40x", "p"), "a"),
    ],
)
def test_a_url_says_all_at_once(
    line: str, scheme: str, host: str, port: int | None, login: tuple[str | None, str | None], topic: str
) -> None:
    made = asked(f"{line} -n")
    assert (made.scheme, made.host, made.port, made.topic) == (scheme, host, port, topic)
    assert (made.user_name, made.password) == login


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ("", "mqtt://localhost"),
        ("-h there -p 1884", "mqtt://there:1884"),
        ("-h ::1", "mqtt://[::1]"),
        ("-h a,b -p 1", "mqtt://a:1,b:1"),
        ("-p 8883", "mqtts://localhost:8883"),
        ("--cafile x", "mqtts://localhost"),
        ("--tls-use-os-certs -h x", "mqtts://x"),
        ("mqtts://x/", "mqtts://x"),
        ("ws://x/path", "ws://x/path"),
        ("wss://x:1/path", "wss://x:1/path"),
        ("--unix /run/a", "unix:///run/a"),
        ("unix:///run/a", "unix:///run/a"),
    ],
)
def test_where_to_connect(words: str, url: str) -> None:
    assert connecting.url_of(asked(f"-t a -n {words}")) == url


def test_what_the_client_is_told() -> None:
    made = asked(
        "-t a -n -I pre- -c -i me -k 9 -D connect receive-maximum 3 -D connect user-property a b".replace(
            "-I pre- ", ""
        )
        + " --will-topic w --will-payload gone --will-qos 1 --will-retain"
    )
    settings = connecting.settings_of(made, None)
    assert (settings["client_id"], settings["clean_start"], settings["session_expiry"]) == ("me", False, NEVER)
    assert (settings["receive_maximum"], settings["keep_alive"], settings["reconnect"]) == (3, 9, None)
    assert settings["properties"].user_properties == [("a", "b")]
    assert settings["properties"].receive_maximum is None
    will = settings["will"]
    assert (will.topic, will.payload, will.qos, will.retain) == ("w", b"gone", 1, True)
    assert connecting.settings_of(asked("-t a -n -I pre-"), None)["client_id"] == f"pre-{os.getpid()}"


def test_defaults_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "mosquitto_pub").write_text("# comment\n-h first\n-p 1884\n\n-m by default\n-u some name\n")
    (tmp_path / "linnet_pub").write_text("--host second\n-D publish user-property key long value\r\n")
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    made = asked("-t a -p 1 -n", environment=environment)
    assert (made.host, made.port, made.user_name, made.source) == ("second", 1, "some name", "nothing")
    assert made.properties["publish"].user_properties == [("key", "long value")]
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "mosquitto_pub").write_text("-h home")
    assert asked("-t a -n", environment={"HOME": str(tmp_path)}).host == "home"


def test_one_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "mosquitto_pub").write_text("-h first")
    (tmp_path / "mine").write_text("-p 1884\n-z\n")
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(UsageError, match="mine, line 2: -z is no option"):
        asked(["-t", "a", "-n", "-o", str(tmp_path / "mine")], environment=environment)
    (tmp_path / "mine").write_text("-p 1884")
    made = asked(["-t", "a", "-n", "-o", str(tmp_path / "mine")], environment=environment)
    assert (made.host, made.port) == ("", 1884)
    assert "there is no such file" in fault("-t a -n -o /nowhere")


def test_where_a_password_comes_from(tmp_path: Path) -> None:
    def password(words: str, variables: dict[str, str] | None = None) -> bytes | None:
        return password_of(asked(f"-t a -n {words}"), variables or {}, lambda prompt: prompt)

    (tmp_path / "secret").write_text("from file\r\nmore\n")
    there = {"LINNET_PASSWORD": "from environment"}
    assert password("-u me -P typed", there) == b"typed"
    assert password("mqtt://me:url@host/", there) == b"url"
    assert password(f"-u me --password-file {tmp_path}/secret", there) == b"from file"
    assert password("-u me --ask-password", there) == b"password of me: "
    assert password("-u me", there) == b"from environment"
    assert password("", there) is None
    with pytest.raises(UsageError, match="no such file"):
        password(f"--password-file {tmp_path}/none")


def test_help_names_every_option() -> None:
    for verb in (pub.VERB, sub.VERB):
        shown = help_of(verb)
        assert [name for option in verb.options for name in option.names if name not in shown] == []


def test_a_message_arrives_as_it_was_described(cli: Cli, served: BlockingBroker) -> None:
    words = ["-D", "publish", "content-type", "text/x", "-D", "publish", "user-property", "k", "v", "-q", 2, "-r"]
    result = cli("pub", f"{served.url}/a/b", "-m", "grüße", *words)
    assert (result.code, result.out, result.err) == (0, b"", "")
    kept = served.retained["a/b"]
    assert (kept.payload.decode(), kept.qos) == ("grüße", 2)
    assert kept.properties.content_type == "text/x"
    assert kept.properties.user_properties == [("k", "v")]


def published(served: BlockingBroker, clients: int = 1) -> list[tuple[str, bytes, int]]:
    """What so many clients have published, once all have gone: topic, payload and QoS."""
    for _ in range(clients):
        served.wait_for("CLOSED")
    return [(seen.topic, seen.payload, seen.qos) for seen in served.packets.select("PUBLISH", direction="in")]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_line_is_a_message(cli: Cli, served: BlockingBroker, qos: int) -> None:
    lines = [b"one", b"", b"t\xffo", b"last"]
    assert cli("pub", "-p", served.port, "-t", "a", "-l", "-q", qos, stdin=b"\n".join(lines)).code == 0
    assert published(served) == [("a", line, qos) for line in lines]


def test_no_line_is_no_message(cli: Cli, served: BlockingBroker) -> None:
    assert cli("pub", "-p", served.port, "-t", "a", "-l", stdin=b"").code == 0
    assert published(served) == []


def test_lines_of_json_are_published(cli: Cli, served: BlockingBroker) -> None:
    lines = (
        b'{"topic": "a", "payload_base64": "AP8="}\n\n{"payload": "x", "qos": 2, "properties": {"content_type": "c"}}\n'
    )
    assert cli("pub", "-p", served.port, "-t", "here", "-q", 1, "--json", stdin=lines).code == 0
    assert published(served) == [("a", b"\x00\xff", 1), ("here", b"x", 2)]


def test_a_wrong_line_of_json_is_named(cli: Cli, served: BlockingBroker) -> None:
    result = cli("pub", "-p", served.port, "--json", stdin=b'{"topic": "a", "payload": "x"}\n{"topic": 1}\n')
    assert (result.code, result.err) == (1, "linnet pub: line 2: 1 is no topic to publish to\n")
    assert published(served) == [("a", b"x", 0)]


def test_a_file_and_standard_input_are_messages_as_a_whole(cli: Cli, served: BlockingBroker, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\n\xff" * 100_000)
    assert cli("pub", "-p", served.port, "-t", "a", "-f", tmp_path / "file", "-q", 1).code == 0
    assert cli("pub", "-p", served.port, "-t", "b", "-s", stdin=b"x\ny\n").code == 0
    assert published(served, 2) == [("a", b"\x00\n\xff" * 100_000, 1), ("b", b"x\ny\n", 0)]
    assert cli("pub", "-p", served.port, "-t", "b", "-s", stdin=b"").code == 1
    assert cli("pub", "-p", served.port, "-t", "b", "-f", tmp_path / "none").err == (
        f"linnet pub: {tmp_path}/none: no such file or directory\n"
    )


def test_a_message_is_repeated(cli: Cli, served: BlockingBroker) -> None:
    words = ["-t", "a", "-m", "x", "--repeat", 3, "--repeat-delay", 0.001]
    assert cli("pub", "-p", served.port, *words).code == 0
    assert published(served) == [("a", b"x", 0)] * 3


def test_a_refused_message_is_an_error_with_its_reason(cli: Cli, served: BlockingBroker) -> None:
    served.deny("no/#", reason_code=ReasonCode.QUOTA_EXCEEDED)
    result = cli("pub", "-p", served.port, "-t", "no/a", "-q", 1, "-m", "x")
    assert result.code == 0x97
    assert result.err.startswith("linnet pub: ") and "quota exceeded" in result.err
    lines = b'{"topic": "no/a"}\n{"topic": "a"}\n{"topic": "no/b"}\n'
    result = cli("pub", "-p", served.port, "--json", "-q", 2, "--quiet", stdin=lines)
    assert (result.code, result.err) == (0x97, "")
    assert ("a", b"", 2) in published(served, 2)


@pytest.mark.parametrize(("words", "code"), [("", 135), ("-V 5", 135), ("-V 311", 5), ("-V 31", 5)])
def test_a_refused_connection_is_an_error_with_its_reason(
    cli: Cli, served: BlockingBroker, words: str, code: int
) -> None:
    served.refuse(None, ReasonCode.NOT_AUTHORIZED)
    result = cli("pub", "-p", served.port, "-t", "a", "-m", "x", *words.split())
    assert result.code == code
    assert "not authorized" in result.err and result.err.count("\n") == 1


def test_nobody_who_listens_is_an_error(cli: Cli) -> None:
    result = cli("pub", "-h", "127.0.0.1", "-p", "1", "-t", "a", "-m", "x")
    assert result.code == 1
    assert "connection refused" in result.err and result.err.count("\n") == 1


def test_what_takes_too_long_is_given_up(cli: Cli, served: BlockingBroker) -> None:
    served.drop("PUBACK")
    result = cli("pub", "-p", served.port, "-t", "a", "-m", "x", "-q", 1, "-W", 0.2)
    assert (result.code, result.err) == (27, "linnet pub: timed out after 0.2 s\n")


def test_a_lost_connection_is_an_error(cli: Cli, served: BlockingBroker) -> None:
    served.drop("PUBACK")

    def cut() -> None:
        served.wait_for("PUBLISH")
        served.cut()

    result = cli("pub", "-p", served.port, "-t", "a", "-m", "x", "-q", 1, meanwhile=cut)
    assert result.code == 7
    assert "may have arrived" in result.err


def test_an_older_broker_is_spoken_to_in_its_version(cli: Cli) -> None:
    with BlockingBroker(versions="3.1.1") as old:
        assert cli("pub", "-p", old.port, "-t", "a", "-m", "x", "-q", 1).code == 0
        assert published(old) == [("a", b"x", 1)]


def test_wrong_words_are_told_even_if_quiet(cli: Cli) -> None:
    result = cli("pub", "--quiet", "-t", "a")
    assert result.code == 1
    assert result.err.startswith("linnet pub: a message is needed") and result.err.count("\n") == 1


@pytest.mark.parametrize("words", ["-h 127.0.0.1 -A 127.0.0.1", "-h localhost -k 0", "mqtt://me@127.0.0.1:{port}"])
def test_ways_to_connect(cli: Cli, served: BlockingBroker, words: str) -> None:
    line = words.format(port=served.port).split()
    assert cli("pub", *line, "-p", served.port, "-t", "a", "-m", "x", "-q", 1).code == 0
    assert published(served) == [("a", b"x", 1)]


class Terminal(io.StringIO):
    """Somebody watches what is written here."""

    def isatty(self) -> bool:
        return True


def test_a_person_sees_progress_and_is_warned(
    cli: Cli, served: BlockingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setattr(teller, "DELAY", 0.0)
    words = ["pub", "-p", served.port, "-t", "a", "-m", "x", "--repeat", 3]
    cli(*words, "-u", "me", "-P", "secret")
    assert "others can read a password on the command line" in seen.getvalue()
    assert "0/3" in seen.getvalue()
    said = len(seen.getvalue())
    cli(*words, "--quiet", "-u", "me", "-P", "secret")
    assert len(seen.getvalue()) == said
    cli(*words[:-2], "-u", "me")
    assert len(seen.getvalue()) == said


@pytest.mark.system
def test_a_signal_ends_it_while_it_waits_for_a_line(served: BlockingBroker) -> None:
    command = [sys.executable, "-m", "linnet", "pub", "-p", str(served.port), "-t", "a", "-l"]
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert served.wait_for("PUBLISH").payload == b"one"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


@pytest.mark.interop
@pytest.mark.parametrize(
    "words",
    [
        "-t a -m x",
        "-t a/b -m -x -q 1 -r",
        "-t a -n -q 2",
        "-t a -l -q 1",
        "-t a -s",
        "-t a -m x --repeat 2 --repeat-delay 0.01",
        "-t a -m x -V 5 -q 1 -D publish content-type c -D publish user-property k v -D publish correlation-data d",
        "-t a -m x -V 5 -D publish message-expiry-interval 9 -D publish response-topic r -D publish user-property a b",
        "-L mqtt://me:secret@127.0.0.1:{port}/a/b -m x",
        "-t a -m x -i me -k 20 -u me -P secret -M 3 --will-topic w --will-payload gone --will-qos 1 --will-retain",
        "-t a -m x -V 5 -c -i me -x 30",
        "-t a",
        "-t a/# -m x",
        "-t a -m x -m y",
        "-t a -m x -q 7",
        "-t a -m x -D publish content-type",
        "-t a -m x -D connect content-type y",
        "-t a -m x -D puback user-property a b",
        "-t a -m x -i a -I b",
        "-t a -m x --will-retain",
        "-t a -m x extra",
    ],
)
def test_the_original_says_the_same_to_the_broker(cli: Cli, served: BlockingBroker, words: str, tmp_path: Path) -> None:
    line = ["-h", "127.0.0.1", "-p", str(served.port), *words.format(port=served.port).split()]
    given = b"one\n\ntwo"
    theirs = subprocess.run(
        [program("mosquitto_pub", "mosquitto-clients"), *line],
        input=given,
        capture_output=True,
        timeout=20,
        env={"HOME": str(tmp_path)},
    )
    meant = said_by(served, theirs.returncode == 0)
    served.packets.clear()
    ours = cli("pub", *line, *([] if "-V" in line or "-D" in line else ["-V", "311"]), stdin=given)
    assert (ours.code, bool(ours.err)) == (theirs.returncode, bool(theirs.stderr))
    assert said_by(served, ours.code == 0) == meant


def said_by(served: BlockingBroker, has_connected: bool) -> list[object]:
    """What a client has said: how it introduced itself, and what it published."""
    if has_connected:
        served.wait_for("CLOSED")
    said: list[object] = []
    for seen in served.packets.select(("CONNECT", "PUBLISH"), direction="in"):
        packet = seen.packet
        if isinstance(packet, Connect):
            who = "" if packet.client_id.startswith(("mosq-", "linnet-", "auto-")) else packet.client_id
            login = (packet.user_name, packet.password, packet.will, packet.keep_alive)
            said.append((packet.version, who, packet.clean_start, *login))
        elif isinstance(packet, Publish):
            told = replace(packet.properties, topic_alias=None)  # aliases are made by each in its own way
            said.append((seen.topic, packet.payload, packet.qos, packet.retain, told))
    return said


@pytest.mark.interop
def test_the_original_has_no_option_that_is_missing_here() -> None:
    for verb in (pub.VERB, sub.VERB, rr.VERB):
        said = subprocess.run([program(f"mosquitto_{verb.name}", "mosquitto-clients"), "--help"], capture_output=True)
        theirs = set(re.findall(r"^ (-\S+) :", said.stdout.decode(), re.MULTILINE))
        ours = {name for option in verb.options for name in option.names}
        assert len(theirs) > 30
        assert theirs - ours == set()
