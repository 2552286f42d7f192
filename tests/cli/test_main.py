"""How the daemon is started: read by hand when its unit starts it, by click when a person wants more."""

from pathlib import Path

import pytest

from vafa.cli.main import daemon_config


@pytest.mark.parametrize(
    ("typed", "config"),
    [
        ("run --config /etc/vafa/x.toml", "/etc/vafa/x.toml"),
        ("run", "/etc/vafa/config.toml"),
        ("run --check --config /etc/vafa/x.toml", None),
        ("run --config=/etc/vafa/x.toml", None),
        ("run --config --check", None),
        ("run --help", None),
        ("status", None),
        ("", None),
    ],
)
def test_only_a_plain_start_goes_without_click(
    typed: str, config: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAFA_CONFIG", raising=False)
    assert daemon_config(typed.split()) == (Path(config) if config else None)


def test_the_relay_is_started_without_click_too() -> None:
    assert daemon_config(["relay", "--config", "x.toml"], "relay") == Path("x.toml")
    assert daemon_config(["run", "--config", "x.toml"], "relay") is None
    assert daemon_config(["relay", "--help"], "relay") is None


def test_the_environment_names_the_configuration_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAFA_CONFIG", "/srv/vafa.toml")
    assert daemon_config(["run"]) == Path("/srv/vafa.toml")
