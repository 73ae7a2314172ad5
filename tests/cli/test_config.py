"""`linnet config`: show, check, reference, and what the command line refuses."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from linnet.cli import config
from linnet.cli.main import main
from linnet.options import EFFECTS
from linnet.settings import OPTIONS, Settings, load

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have set variables of their own."""
    for variable in [one for one in os.environ if one.startswith("LINNET_")]:
        monkeypatch.delenv(variable)


def usage_fault(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code


def test_show_prints_toml_that_is_the_settings_in_force(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "linnet.toml"
    file.write_text("[session]\nmax_sessions = 5\n", "utf-8")
    monkeypatch.setenv("LINNET_RESPONSE_INFORMATION", 'say "a"')
    words = ["--config", str(file), "--set", "max_qos=1", "--listen", "[::1]:0", "--listen", "localhost:0"]
    assert main(["config", "show", *words]) == 0
    text = capsys.readouterr().out
    shown = {name: value for group in tomllib.loads(text).values() for name, value in group.items()}
    assert Settings(**shown) == Settings(
        max_sessions=5, response_information='say "a"', max_qos=1, listen=["[::1]:0", "localhost:0"]
    )
    assert f"max_sessions = 5  # {file}, line 2" in text
    assert "max_qos = 1  # option --set max_qos" in text
    assert 'listen = ["[::1]:0", "localhost:0"]  # option --listen' in text
    assert "# environment variable LINNET_RESPONSE_INFORMATION" in text
    assert "max_retained = 100000  # default\n" in text
    assert "backlog = 4096  # default; a change holds after a restart\n" in text
    assert "max_inflight = 100  # default; a change holds for new connections\n" in text


def test_the_last_of_several_assignments_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--set", "max_qos=0", "--set", "max_qos=1"]) == 0
    assert "max_qos = 1  #" in capsys.readouterr().out


def test_check_says_ok(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--set", " max_qos=1"]) == 0
    assert capsys.readouterr() == ("ok\n", "")


def test_check_lists_every_fault_and_exits_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINNET_OVERLAP", "both")
    assert main(["config", "check", "--set", "max_qos=3", "--set", "max_qoss=3"]) == 2
    assert capsys.readouterr() == (
        "",
        "linnet: these settings cannot be used:\n"
        '  overlap = "both": allowed is "merge" or "each" (environment variable LINNET_OVERLAP)\n'
        "  max_qos = 3: allowed is a whole number from 0 to 2 (option --set max_qos)\n"
        '  max_qoss = "3": there is no such setting; did you mean max_qos? (option --set max_qoss)\n',
    )


@pytest.mark.parametrize("words", [(), ("config",), ("nothing",), ("config", "check", "--set", "max_qos")])
def test_wrong_usage_exits_with_2_and_shows_the_usage(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage_fault(*words) == 2
    assert capsys.readouterr().err.startswith("usage: linnet")


def test_options_are_not_guessed_from_their_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_fault("config", "check", "--conf", "x.toml") == 2
    assert "--conf" in capsys.readouterr().err


def test_version_tells_the_form_and_the_python(capsys: pytest.CaptureFixture[str]) -> None:
    import platform

    import linnet

    assert usage_fault("--version") == 0
    form = "compiled" if linnet.compiled else "interpreted"
    text = capsys.readouterr().out
    assert text.startswith(f"linnet {linnet.__version__} ({form}, Python {platform.python_version()}, uvloop ")
    assert text.endswith(("yes)\n", "no)\n"))


def test_the_reference_in_the_documents_is_that_of_the_table() -> None:
    page = PAGE.read_text("utf-8")
    inside = page.partition(config.BEGIN)[2].partition(config.END)[0]
    assert inside.strip() == config.markdown().strip(), "renew it: linnet config reference --into docs/configuration.md"


def test_the_reference_has_a_row_for_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "reference"]) == 0
    text = capsys.readouterr().out
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{name}`" for name in OPTIONS]
    assert {len(row) for row in rows} == {5}
    assert {row[0]: row[3] for row in rows} == {
        f"| `{row.name}`": EFFECTS[row.takes_effect] for row in OPTIONS.values()
    }


def test_the_toml_reference_is_a_file_with_all_defaults(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["config", "reference", "--toml"]) == 0
    file = tmp_path / "defaults.toml"
    file.write_text(capsys.readouterr().out, "utf-8")
    settings = load(file, {}, {})
    assert settings == Settings()
    assert all(where.startswith(f"{file}, line ") for where in settings.settings_sources.values())
    assert all(f"# {row.sentence}" in file.read_text("utf-8") for row in OPTIONS.values())


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        words = [sys.executable, "-m", "linnet", "config", "reference"]
        result = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, timeout=20)
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (1, b"")


def test_the_reference_is_renewed_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{config.BEGIN}old\n{config.END}after\n", "utf-8")
    assert main(["config", "reference", "--into", str(page)]) == 0
    text = page.read_text("utf-8")
    assert text == f"before\n{config.BEGIN}\n{config.markdown()}\n{config.END}after\n"
    assert main(["config", "reference", "--into", str(page)]) == 0
    assert page.read_text("utf-8") == text


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("precious\n", "utf-8")
    assert main(["config", "reference", "--into", str(page)]) == 1
    assert page.read_text("utf-8") == "precious\n"
    assert "does not hold the lines" in capsys.readouterr().err
    assert main(["config", "reference", "--into", str(tmp_path / "missing.md")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_commands_of_the_page_mean_the_same_thing(tmp_path: Path) -> None:
    """The file, the variables and the options that the introduction shows side by side."""
    text = PAGE.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
    file = tmp_path / "linnet.toml"
    file.write_text(text, "utf-8")
    listen = "0.0.0.0:1883,[::1]:1884"
    assert (
        load(file, {}, {})
        == load(None, {"LINNET_LISTEN": listen, "LINNET_MAX_PACKET_SIZE": "65536"}, {})
        == load(None, {}, {"listen": listen, "max_packet_size": "65536"})
    )
