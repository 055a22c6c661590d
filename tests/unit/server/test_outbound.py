"""Which addresses the server calls."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from freeplay_like.server.outbound import AddressRefused, check_base_url, check_host, is_refused


@pytest.mark.parametrize(
    "text",
    [
        "169.254.0.1",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104
        "::",
        "224.0.0.1",
    ],
)
def test_addresses_that_speak_to_a_machines_own_cloud_are_refused(text: str) -> None:
    assert is_refused(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "8.8.8.8", "2001:db8::1"])
def test_other_addresses_are_called_also_private_ones(text: str) -> None:
    assert not is_refused(ipaddress.ip_address(text))


def test_a_name_is_looked_up_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that led elsewhere when it was set leads to the metadata service now."""
    found = ["203.0.113.1"]

    def look_up(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert check_base_url("https://models.example.org/v1/") == "https://models.example.org/v1"
    found.append("169.254.169.254")
    with pytest.raises(AddressRefused, match=r"leads to 169\.254\.169\.254"):
        check_host("https://models.example.org/v1")


def test_a_name_that_nobody_knows_is_left_for_the_call_to_fail_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, **_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    check_host("https://nobody.example.org")


@pytest.mark.parametrize("text", ["https://u:p4ssw0rd@example.org", "https://p4ssw0rd@example.org"])
def test_the_refusal_does_not_show_a_password(text: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        check_base_url(text)
    assert "p4ssw0rd" not in str(caught.value)
