from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from freeplay_like.cli.demo_screen import Screen, printable

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")

PROGRAM = """
from freeplay_like.cli.demo_screen import Screen
with Screen(is_json=False) as screen:
    screen.say("a step")
    screen.advance(5_000_000, 10_000_000)
    screen.advance(10_000_000, 10_000_000)
    screen.speaker("user")
    screen.line("an answer")
"""


def on_a_terminal(**environment: str) -> str:
    """What a person sees: both streams on one pseudo-terminal."""
    reader, terminal = os.openpty()
    inherited = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env=inherited | {"TERM": "xterm-256color"} | environment,
    )
    os.close(terminal)
    seen = b""
    try:
        while data := os.read(reader, 4096):
            seen += data
    except OSError:
        pass  # the other end is closed: Linux says EIO
    os.close(reader)
    assert child.wait() == 0
    return seen.decode()


def test_off_a_terminal_it_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(is_json=False) as screen:
        screen.say("a step")
        for megabytes in range(0, 101, 5):
            screen.advance(megabytes * 1_000_000, 100_000_000)
        screen.speaker("user")
        screen.write("one ")
        screen.write("two")
        screen.line()
    seen = capsys.readouterr()
    assert seen.out == "\nuser\none two\n"
    assert seen.err.splitlines() == ["· a step", *(f"  {done} of 100 MB" for done in range(10, 101, 10))]


def test_with_json_nothing_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(is_json=True) as screen:
        screen.line("an answer")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "an answer\n")


def test_a_long_line_is_not_broken_and_nothing_is_markup(capsys: pytest.CaptureFixture[str]) -> None:
    address = "http://127.0.0.1:8321/" + "a" * 200
    with Screen(is_json=False) as screen:
        screen.line(f"[bold]{address}[/bold]")
    assert capsys.readouterr().out == f"[bold]{address}[/bold]\n"


def test_what_a_model_writes_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2J\x07b\r\n\tc\x9b1m é 漢 \u202e") == "a[2Jb\n\tc1m é 漢 "


def test_on_a_terminal_there_is_a_bar_and_style_but_no_colour_where_it_is_not_wanted() -> None:
    coloured = on_a_terminal()
    assert "MB" in coloured
    assert "\x1b[1muser" in coloured
    assert COLOUR.search(coloured)
    plain = on_a_terminal(NO_COLOR="1")
    assert "MB" in plain
    assert not COLOUR.search(plain)
