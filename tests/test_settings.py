"""The table of settings: what it takes, what it refuses, where values come from, and how a refusal reads."""

import copy
import pickle
from pathlib import Path

import pytest

from linnet.errors import LinnetError, SettingsError
from linnet.options import host_and_port, key_lines, toml
from linnet.settings import GROUPS, OPTIONS, Settings, load


def refusal(**values: object) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    return str(caught.value)


def write(folder: Path, text: str) -> Path:
    file = folder / "linnet.toml"
    file.write_text(text, "utf-8")
    return file


def load_refusal(file: Path | None, environ: dict[str, str], arguments: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(file, environ, arguments)
    return str(caught.value).splitlines()


# ---- the table itself ----


def test_every_option_has_a_group_a_sentence_and_a_default_within_its_own_bounds() -> None:
    for row in OPTIONS.values():
        assert row.group in GROUPS
        assert row.sentence.endswith("."), row.name
        assert Settings(**{row.name: row.default}) == Settings()


def test_every_number_has_bounds_on_both_sides() -> None:
    for row in OPTIONS.values():
        if row.annotation in (int, float):
            assert row.low is not None and row.high is not None, row.name


@pytest.mark.parametrize("name", [row.name for row in OPTIONS.values() if row.annotation in (int, float)])
def test_a_number_is_taken_at_its_bounds_and_refused_beyond(name: str) -> None:
    row = OPTIONS[name]
    assert row.low is not None and row.high is not None
    rest: dict[str, float] = {"max_output_bytes": 1} if name == "max_output_bytes_hard" else {}
    if name == "max_output_bytes":
        rest = {"max_output_bytes_hard": row.high}
    for value in (row.low, row.high):
        assert getattr(Settings(**{name: value}, **rest), name) == value
    for value in (row.low - 1, row.high + 1):
        assert refusal(**{name: value}, **rest).startswith(f"{name} = {value}: allowed is")


@pytest.mark.parametrize("name", [row.name for row in OPTIONS.values() if row.choices and not row.is_list])
def test_each_choice_is_taken_and_others_are_refused_with_the_choices(name: str) -> None:
    for choice in OPTIONS[name].choices:
        assert getattr(Settings(**{name: choice}), name) == choice
    text = refusal(**{name: "other"})
    assert all(f'"{choice}"' in text for choice in OPTIONS[name].choices)


def test_settings_are_immutable_hashable_and_compare_by_value_alone() -> None:
    one = Settings(max_qos=1)
    same = load(None, {"LINNET_MAX_QOS": "1"}, {})
    with pytest.raises(ValueError, match="frozen"):
        one.max_qos = 2  # type: ignore[misc]
    assert one == same and hash(one) == hash(same) and one != Settings()
    assert one != "Settings"
    assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == one


def test_the_repr_tells_what_differs_from_the_defaults() -> None:
    assert repr(Settings()) == "Settings()"
    assert repr(Settings(max_qos=1, listen="[::1]:0")) == "Settings(listen=('[::1]:0',), max_qos=1)"


# ---- values from code ----


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"max_qos": 3}, "max_qos = 3: allowed is a whole number from 0 to 2"),
        ({"max_qos": True}, "max_qos = true: allowed is a whole number from 0 to 2"),
        ({"max_qos": "1"}, 'max_qos = "1": allowed is a whole number from 0 to 2'),
        ({"max_qos": 1.0}, "max_qos = 1.0: allowed is a whole number from 0 to 2"),
        ({"queue_qos0": 1}, "queue_qos0 = 1: allowed is true or false"),
        ({"stop_timeout": float("nan")}, "stop_timeout = nan: allowed is a number from 0 to 3600 (s)"),
        ({"versions": "4"}, 'versions = "4": allowed is a list of one or more of "3.1", "3.1.1" and "5.0"'),
        ({"versions": []}, 'versions = []: allowed is a list of one or more of "3.1", "3.1.1" and "5.0"'),
        (
            {"response_information": "a\0b"},
            r'response_information = "a\u0000b": allowed is text of at most 16383 characters, '
            "without control characters",
        ),
        ({"max_quos": 1}, "max_quos = 1: there is no such setting; did you mean max_qos?"),
        ({"self": 1}, "self = 1: there is no such setting"),
        ({"zzz": 1}, "zzz = 1: there is no such setting"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(values: dict[str, object], text: str) -> None:
    assert refusal(**values) == text


def test_text_with_surrogates_is_refused() -> None:
    assert refusal(response_information="\udc80").startswith("response_information = ")


def test_a_very_long_value_is_shown_shortened() -> None:
    assert len(refusal(assigned_client_id_prefix="x" * 100_000)) < 250


def test_every_fault_is_listed_in_the_order_of_the_table() -> None:
    text = refusal(zzz=1, max_qos=3, listen=["x", "127.0.0.1:1", "y"])
    assert [line.partition(":")[0] for line in text.splitlines()] == [
        'listen = "x"',
        'listen = "y"',
        "max_qos = 3",
        "zzz = 1",
    ]


def test_the_soft_output_limit_must_not_exceed_the_hard_one() -> None:
    assert refusal(max_output_bytes=2000, max_output_bytes_hard=1000) == (
        "max_output_bytes = 2000: allowed is at most max_output_bytes_hard, which is 1000"
    )


def test_a_settings_error_is_a_linnet_error() -> None:
    with pytest.raises(LinnetError):
        Settings(nothing=1)


# ---- addresses ----


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:1883", ("127.0.0.1", 1883)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("broker.example-1.org:65535", ("broker.example-1.org", 65535)),
        ("localhost:1", ("localhost", 1)),
        ("docker_host.:1", ("docker_host.", 1)),
        ("[::1]:1883", ("::1", 1883)),
        ("[::]:0", ("::", 0)),
        ("[fe80::1%eth0]:1883", ("fe80::1%eth0", 1883)),
    ],
)
def test_an_address_is_split_into_host_and_port(address: str, parts: tuple[str, int]) -> None:
    assert Settings(listen=address).listen == (address,)
    assert host_and_port(address) == parts


@pytest.mark.parametrize(
    "address",
    (
        "|1883|:1883|localhost|localhost:|localhost:65536|localhost:-1|localhost:1e3|localhost:１８８３|"
        "::1:1883|[::g]:1|[]:1|[::1]|a b:1|-a:1|a..b:1|.:1|mqtt://localhost:1883"
    ).split("|"),
)
def test_what_is_no_address_is_refused(address: str) -> None:
    assert "allowed is a list of one or more HOST:PORT or [IPV6]:PORT" in refusal(listen=[address])


# ---- sources and their precedence ----


def test_without_any_source_all_is_default() -> None:
    settings = load(None, {}, {})
    assert settings == Settings()
    assert set(settings.settings_sources.values()) == {"default"}


def test_values_from_code_say_so() -> None:
    assert Settings(max_qos=1).settings_sources["max_qos"] == "code"


def test_the_environment_beats_the_file_and_the_command_line_beats_both(tmp_path: Path) -> None:
    file = write(tmp_path, "[protocol]\nmax_qos = 0\nmax_keep_alive = 1\n\n[log]\nlog_level = 'error'\n")
    environ = {"LINNET_MAX_QOS": "1", "LINNET_MAX_KEEP_ALIVE": "2", "PATH": "/bin"}
    settings = load(file, environ, {"max_qos": "2", "listen": "127.0.0.1:1,[::1]:0"})
    assert (settings.log_level, settings.max_keep_alive, settings.max_qos) == ("error", 2, 2)
    assert settings.listen == ("127.0.0.1:1", "[::1]:0")
    assert {name: where for name, where in settings.settings_sources.items() if where != "default"} == {
        "log_level": f"{file}, line 6",
        "max_keep_alive": "environment variable LINNET_MAX_KEEP_ALIVE",
        "max_qos": "option --set max_qos",
        "listen": "option --listen",
    }


def test_linnet_config_names_the_file_unless_one_is_given(tmp_path: Path) -> None:
    named = write(tmp_path, "[protocol]\nmax_qos = 0\n")
    given = tmp_path / "given.toml"
    given.write_text("[protocol]\nmax_qos = 1\n", "utf-8")
    assert load(None, {"LINNET_CONFIG": str(named)}, {}).max_qos == 0
    assert load(given, {"LINNET_CONFIG": str(named)}, {}).max_qos == 1


def test_variables_that_are_no_settings_are_left_alone() -> None:
    assert load(None, {"LINNET_PURE": "1", "LINNET_CONFIG": "", "XLINNET_MAX_QOS": "7"}, {}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_packet_size", "65536", 65536),
        ("max_session_expiry", "0xFFFFFFFF", 0xFFFFFFFF),
        ("connect_timeout", "2.5", 2.5),
        ("connect_timeout", "2", 2),
        ("retain_available", "false", False),
        ("queue_qos0", "True", True),
        ("versions", "5.0, 3.1.1", ("5.0", "3.1.1")),
        ("response_information", "replies/a,b", "replies/a,b"),
        ("response_information", "", ""),
        ("log_format", "json", "json"),
    ],
)
def test_text_is_read_as_the_type_of_the_setting(name: str, text: str, value: object) -> None:
    for settings in (load(None, {f"LINNET_{name.upper()}": text}, {}), load(None, {}, {name: text})):
        assert getattr(settings, name) == value
        assert type(getattr(settings, name)) is (float if OPTIONS[name].annotation is float else type(value))


def test_every_default_written_as_text_is_read_back_as_itself() -> None:
    texts = {}
    for row in OPTIONS.values():
        texts[row.name] = ",".join(row.default) if row.is_list else toml(row.default).strip('"')
    assert load(None, {}, texts) == Settings()


@pytest.mark.parametrize(
    ("environ", "arguments", "line"),
    [
        (
            {"LINNET_MAX_QOS": "two"},
            {},
            'max_qos = "two": allowed is a whole number from 0 to 2 (environment variable LINNET_MAX_QOS)',
        ),
        (
            {"LINNET_QUEUE_QOS0": "1"},
            {},
            'queue_qos0 = "1": allowed is true or false (environment variable LINNET_QUEUE_QOS0)',
        ),
        (
            {"LINNET_MAX_QOSS": "1"},
            {},
            'environment variable LINNET_MAX_QOSS = "1": there is no such setting; did you mean LINNET_MAX_QOS?',
        ),
        (
            {"LINNET_max_qos": "1"},
            {},
            'environment variable LINNET_max_qos = "1": there is no such setting; did you mean LINNET_MAX_QOS?',
        ),
        (
            {},
            {"max_qos": "-1"},
            "max_qos = -1: allowed is a whole number from 0 to 2 (option --set max_qos)",
        ),
        (
            {},
            {"max_qoss": "1"},
            'max_qoss = "1": there is no such setting; did you mean max_qos? (option --set max_qoss)',
        ),
        (
            {},
            {"listen": "localhost"},
            'listen = "localhost": allowed is a list of one or more HOST:PORT or [IPV6]:PORT; '
            "HOST:PORT is needed (option --listen)",
        ),
    ],
)
def test_a_fault_outside_of_files_tells_where_it_stood(
    environ: dict[str, str], arguments: dict[str, str], line: str
) -> None:
    assert load_refusal(None, environ, arguments) == [line]


def test_a_fault_in_a_file_tells_its_line(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "\n".join(
            [
                "max_qos = 1",  # 1: in no table
                "speed = 1",  # 2
                "log = 1",  # 3
                "[ network ]  # where",  # 4
                "listen = [",  # 5
                '  "nowhere",',
                "]",
                "[protocol]",
                "max_pakcet_size = 1",  # 9
                "log_level = 'info'",  # 10: in another's table
                '"overlap" = "both"',  # 11
                "[sesion]",  # 12
            ]
        ),
    )
    assert load_refusal(file, {}, {}) == [
        f"max_qos = 1: belongs to the table [protocol] ({file}, line 1)",
        f"speed = 1: there is no such setting ({file}, line 2)",
        f"log = 1: allowed is a table [log] ({file}, line 3)",
        f'log_level = "info": belongs to the table [log], not [protocol] ({file}, line 10)',
        f"sesion: there is no such table; did you mean session? ({file}, line 12)",
        f'listen = "nowhere": allowed is a list of one or more HOST:PORT or [IPV6]:PORT; HOST:PORT is needed '
        f"({file}, line 5)",
        f'overlap = "both": allowed is "merge" or "each" ({file}, line 11)',
        f"max_pakcet_size = 1: there is no such setting; did you mean max_packet_size? ({file}, line 9)",
    ]


def test_the_faults_of_all_sources_are_listed_even_of_values_that_are_overridden(tmp_path: Path) -> None:
    file = write(tmp_path, "[protocol]\nmax_qos = 3\n")
    lines = load_refusal(file, {"LINNET_MAX_QOS": "4"}, {"max_qos": "5"})
    assert [line[:11] for line in lines] == ["max_qos = 3", "max_qos = 4", "max_qos = 5"]


def test_values_of_several_sources_must_agree(tmp_path: Path) -> None:
    file = write(tmp_path, "[limits]\nmax_output_bytes = 9_000_000\n")
    assert load(file, {"LINNET_MAX_OUTPUT_BYTES_HARD": "9000000"}, {}).max_output_bytes == 9_000_000
    assert load_refusal(file, {}, {}) == [
        f"max_output_bytes = 9000000: allowed is at most max_output_bytes_hard, which is 8388608 ({file}, line 2)"
    ]


def test_a_file_that_is_missing_or_broken_is_one_clear_fault(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert load_refusal(missing, {}, {}) == [f"{missing}: cannot be read: No such file or directory"]
    assert load_refusal(tmp_path, {}, {}) == [f"{tmp_path}: cannot be read: Is a directory"]
    broken = write(tmp_path, "[protocol\n")
    (line,) = load_refusal(broken, {}, {})
    assert line.startswith(f"{broken}: is not TOML: ") and "line 1" in line
    broken.write_bytes(b"[log]\nlog_level = '\xff'\n")
    (line,) = load_refusal(broken, {}, {})
    assert line.startswith(f"{broken}: is not TOML: ")


def test_line_numbers_are_found_for_tables_and_dotted_keys() -> None:
    text = "network.backlog = 1\n[ 'log' ]\n\n  log_level='info'\n#log_format = 'text'\n[\"a\".b]\nc=1"
    assert key_lines(text) == {
        ("network", "backlog"): 1,
        ("log",): 2,
        ("log", "log_level"): 4,
        ("a", "b"): 6,
        ("a", "b", "c"): 7,
    }


@pytest.mark.parametrize("value", ["", 'a"b\\c', "tab\tnul\0del\x7f", "ü€😀", True, 0, -1, 2.5, ("a", "b"), ()])
def test_toml_writes_what_toml_reads(value: object) -> None:
    import tomllib

    read = tomllib.loads(f"x = {toml(value)}")["x"]
    assert (tuple(read) if isinstance(read, list) else read) == value
