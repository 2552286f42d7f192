"""config.toml: defaults, every fault at once with its place and the nearest right name, the example file."""

import tomllib
from pathlib import Path

import pytest

from vafa.app.config import Config, load
from vafa.app.config_example import example_text
from vafa.app.config_faults import sections, settings
from vafa.model.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
LEAST = '[shop]\nname = "Kafe"\n[[terminal]]\nid = "40217736"\n'


def loaded(directory: Path, text: str) -> Config:
    path = directory / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def faults(directory: Path, text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, text)
    return {fault.place: f"{fault.message} ~ {fault.nearest}" for fault in caught.value.faults}


def test_a_file_with_only_what_is_required_has_every_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, LEAST)
    assert config.terminal[0].baud == 115_200
    assert config.terminal[0].address == "/dev/ttyUSB0"
    assert config.local_socket == Path("/run/vafa/local.sock")
    assert config.key_file == Path("/var/lib/vafa/keys/device.key")
    assert config.backup_directory == Path("/var/lib/vafa/backups")
    assert config.programme_file is None


def test_every_fault_is_named_at_once_with_its_place_and_the_nearest_right_name(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
        [shop]
        name = " "
        zone = "Asia/Teheran"
        langauge = "fa"
        [leger]
        [jobs]
        backups_kept = 0
        checkpoint_every_min = "60"
        [[terminal]]
        id = "4021-7736"
        adress = "/dev/ttyUSB0"
        baud = 11520
        [[terminal]]
        mode = "ecrr"
        card_first = 1
        address = "tcp:192.0.2.1"
        """,
    )
    assert found == {
        "leger": "no such section ~ ledger",
        "shop.langauge": "no such setting ~ language",
        "shop.name": "may not be empty ~ ",
        "shop.zone": 'no such time zone; expected e.g. "Asia/Tehran" ~ ',
        "terminal[0].adress": "no such setting ~ address",
        "terminal[0].id": "expected 1 to 16 letters and digits ~ ",
        "terminal[0].baud": "expected one of 9600, 19200, 38400, 57600, 115200, got 11520 ~ 115200",
        "terminal[1].id": "is missing: the terminal id (TID) as its receipts print it ~ ",
        "terminal[1].mode": "expected one of 'ecr', 'poll', 'local', 'proxy', got 'ecrr' ~ ecr",
        "terminal[1].address": 'expected a device path such as "/dev/ttyUSB0", "usb:0403:6001", '
        'or "tcp:192.0.2.1:8888" ~ tcp:192.0.2.1:8888',
        "terminal[1].card_first": "expected bool, got int, got 1 ~ ",
        "jobs.checkpoint_every_min": "expected int, got str, got '60' ~ ",
        "jobs.backups_kept": "expected int >= 1, got 0 ~ ",
    }


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "terminal", "at least one [[terminal]] is needed"),
        ("[terminal]\nid = '1'\n", "terminal", "two brackets"),
        ("shop = 1\n", "shop", "expected a table [shop]"),
        ("x = \n", "file", "line 1"),
        (LEAST + '[[terminal]]\nid = "40217736"\naddress = "/dev/ttyUSB1"\n', "terminal[1].id", "already"),
        (LEAST + '[[terminal]]\nid = "40217737"\n', "terminal[1].address", "already"),
        (LEAST + 'mode = "poll"\npoll = false\n', "terminal[0].poll", "does nothing else"),
    ],
)
def test_a_file_of_the_wrong_shape_says_so(tmp_path: Path, text: str, place: str, message: str) -> None:
    assert message in faults(tmp_path, text)[place]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tcp://127.0.0.1:7941", "tcp:127.0.0.1:7941"),
        ("TCP:192.0.2.1:8888", "tcp:192.0.2.1:8888"),
        ("tcp:/192.0.2.1:8888/", "tcp:192.0.2.1:8888"),
        ("socket://pos.shop:8888", "tcp:pos.shop:8888"),
        ("192.0.2.1:9999", "tcp:192.0.2.1:9999"),
        ("192.0.2.1", "tcp:192.0.2.1:8888"),
        ("tcp:[2001:db8::1]", "tcp:[2001:db8::1]:8888"),
        ("tcp:pos.shop", "tcp:pos.shop:8888"),
        ("ttyUSB0", "/dev/ttyUSB0"),
        ("dev/ttyACM1", "/dev/ttyACM1"),
        ("/dev/ttyUSB0 ", "/dev/ttyUSB0"),
        ("0403:6001", "usb:0403:6001"),
        ("USB:0403:6001", "usb:0403:6001"),
        ("tcp:192.0.2.300:8888", ""),
        ("tcp:192.0.2.1:88888", ""),
        ("tcp: 192.0.2.1:8888", ""),
        ("tcp:pos/shop:8888", ""),
        ("COM3", ""),
        ("terminal", ""),
        ("", ""),
    ],
)
def test_an_address_in_another_form_is_a_fault_that_names_the_right_one(
    tmp_path: Path, written: str, meant: str
) -> None:
    found = faults(tmp_path, LEAST + f'address = "{written}"\n')
    assert list(found) == ["terminal[0].address"]
    assert found["terminal[0].address"].rpartition(" ~ ")[2] == meant


@pytest.mark.parametrize(
    "written",
    [
        "tcp:192.0.2.1:8888", "tcp:[2001:db8::1]:8888", "tcp:2001:db8::1:8888", "tcp:pos-1.shop_2:8888",
        "/dev/ttyUSB0", "/dev/serial/by-id/usb-FTDI", "usb:A50285BI",
    ],
)  # fmt: skip
def test_an_address_in_its_own_form_is_none(tmp_path: Path, written: str) -> None:
    assert loaded(tmp_path, LEAST + f'address = "{written}"\n').terminal[0].address == written


def test_two_terminals_of_mode_local_need_no_line(tmp_path: Path) -> None:
    text = LEAST + '[[terminal]]\nid = "2"\nmode = "local"\n[[terminal]]\nid = "3"\nmode = "local"\n'
    assert [terminal.id for terminal in loaded(tmp_path, text).terminal] == ["40217736", "2", "3"]


PROXY = '[shop]\nname = "x"\n[[terminal]]\nid = "1"\nmode = "proxy"\n'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (PROXY, "terminal[0].listen", "where does the cash register come in"),
        (
            PROXY + 'listen = "tcp:0.0.0.0:8888"\n',
            "terminal[0].listen",
            "of the address's kind: a serial line",
        ),
        (
            PROXY + 'listen = "/dev/ttyUSB1"\naddress = "tcp:192.0.2.1:8888"\n',
            "terminal[0].listen",
            "of the address's kind: tcp",
        ),
        (
            PROXY + 'listen = "tcp:0.0.0.0:8888"\naddress = "tcp:pos.shop:8888"\n',
            "terminal[0].address",
            "needs an IP number",
        ),
        (PROXY + 'listen = "/dev/ttyUSB0"\n', "terminal[0].listen", "is terminal[0]'s already"),
        (
            PROXY + 'listen = "/dev/ttyS1"\n[[terminal]]\nid = "2"\naddress = "/dev/ttyS1"\n',
            "terminal[1].address",
            "already",
        ),
        (LEAST + 'listen = "/dev/ttyUSB1"\n', "terminal[0].listen", "is for mode 'proxy' only"),
        (PROXY + 'listen = "COM3"\n', "terminal[0].listen", "expected a device path"),
    ],
)
def test_a_relayed_line_with_a_fault_says_so(tmp_path: Path, text: str, place: str, message: str) -> None:
    assert message in faults(tmp_path, text)[place]


@pytest.mark.parametrize(
    "ends",
    [
        'listen = "tcp:0.0.0.0:8888"\naddress = "tcp:192.0.2.1:8888"\n',
        'listen = "tcp:[::]:8888"\naddress = "tcp:[2001:db8::1]:8888"\n',
        'listen = "/dev/ttyUSB1"\n',
    ],
)
def test_a_relayed_line_has_two_ends_of_one_kind(tmp_path: Path, ends: str) -> None:
    config = loaded(tmp_path, PROXY + ends)
    assert config.terminal[0].mode == "proxy"
    assert config.relay_socket == Path("/run/vafa-relay/relay.sock")
    assert config.relay_directory == Path("/var/lib/vafa-relay")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('tcp = "0.0.0.0:7117"', "local.tcp", "can be reached from outside"),
        ('tcp = "shop:7117"', "local.tcp", "expected an IP number"),
        ('secret = ""', "local.secret", "may not be empty"),
        ('serial = "COM3"', "local.serial", "expected a device path"),
        ('serial = "tcp:127.0.0.1:1"', "local.serial", "expected a serial line"),
        ('serial = "usb:04:1"', "local.serial", 'expected "usb:0403:6001"'),
        ('serial = "/dev/ttyUSB0"', "local.serial", "is terminal[0]'s already"),
        ("baud = 1200", "local.baud", "expected one of"),
    ],
)
def test_a_local_line_with_a_fault_says_so(tmp_path: Path, text: str, place: str, message: str) -> None:
    assert message in faults(tmp_path, f"{LEAST}[local]\n{text}\n")[place]


def test_the_local_protocol_comes_over_a_socket_alone_until_more_is_set(tmp_path: Path) -> None:
    local = loaded(tmp_path, LEAST).local
    assert (local.tcp, local.serial) == ("", "")
    more = loaded(tmp_path, LEAST + '[local]\ntcp = "[::1]:7117"\nserial = "/dev/ttyUSB1"\nbaud = 9600\n')
    assert (more.local.tcp, more.local.serial, more.local.baud) == ("[::1]:7117", "/dev/ttyUSB1", 9600)


def test_a_file_that_cannot_be_read_is_a_fault_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; copy"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 5"):
        load(tmp_path / "latin.toml")


def test_relative_paths_count_from_the_files_directory(tmp_path: Path) -> None:
    more = '[ledger]\ndirectory = "data"\n[club]\nprogramme = "programme.toml"\n[keys]\nfile = "k"\n'
    config = loaded(tmp_path, LEAST + more)
    assert config.ledger_directory == tmp_path / "data"
    assert config.programme_file == tmp_path / "programme.toml"
    assert config.key_file == tmp_path / "k"
    assert config.backup_directory == tmp_path / "data/backups"


def test_systemds_credential_is_the_key_when_the_unit_loads_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = loaded(tmp_path, LEAST)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert config.key_file == Path("/var/lib/vafa/keys/device.key")
    (tmp_path / "vafa.key").touch()
    assert config.key_file == tmp_path / "vafa.key"


def test_the_example_file_is_the_table_printed() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example_text()


def test_the_example_lists_exactly_the_settings_with_their_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    head, commented, rest = text.partition("# [[printer]]\n")  # nobody has one until they say so
    printer, _, rest = rest.partition("\n\n")
    document = tomllib.loads(
        "\n".join([head, commented[2:], *(line[2:] for line in printer.split("\n")), rest])
    )
    assert list(document) == list(sections())
    for name, section in sections().items():
        table = document[name][0] if isinstance(document[name], list) else document[name]
        assert list(table) == list(settings(section))
        for setting in settings(section).values():
            default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
            assert setting.required or table[setting.name] == default
    assert load(EXAMPLE).terminal[0].id == "40217736"


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 5_000, "x = " + "9" * 5_000, "x = " + "{a=" * 2_000],
    ids=["deep", "long", "nested"],
)
def test_what_the_toml_reader_gives_up_on_is_a_fault_of_the_file(tmp_path: Path, text: str) -> None:
    assert "is not TOML" in faults(tmp_path, text)["file"]


def test_a_port_of_thousands_of_digits_is_no_port(tmp_path: Path) -> None:
    address = f'address = "tcp:192.0.2.1:{"9" * 5_000}"\n'
    assert "65535" in faults(tmp_path, LEAST + address)["terminal[0].address"]
