"""What may leave the shop: every spelling of a card number, phone, key and token is hidden; facts stay."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secrecy.plants import PANS, PHONES, phone_spellings, spellings
from secrecy.search import Place, forms, found

from vafa.app.harmless import harmless, harmless_value

KEY = bytes(range(100, 132))
FACTS = """\
2026-11-23T12:50:00.123456Z vafa[4711]: line open line=ttyUSB0 terminal=40217736
2026-11-23 12:50:00,123 sale ended number=1-1-57 outcome=approved rials=125,000 response=00
Linux 6.1.0-18-arm64, Python 3.11.2, SQLite 3.40.1, 4 cores, 3,884,212 kB memory
/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0 -> ttyUSB0; tcp:192.168.1.20:8888
File "/opt/vafa/lib/python3.11/site-packages/vafa/app/lane.py", line 217, in step
/dev/mmcblk0p2 29,8 GB 12% used, wear life_time 0x01 0x02; mac b8:27:eb:12:34:56
rrn 320062616116, trace 000996, merchant 000000000000152, order 32165"""


@pytest.mark.parametrize("pan", PANS)
def test_no_form_of_a_card_number_stays(pan: str) -> None:
    texts = [form.data.decode("utf-8", "replace") for form in forms(pan) if not form.nibbles]
    texts += [f"{before}{text}{after}" for text in (*texts, *spellings(pan)) for before, after in EDGES]
    left = [text for text in texts if found([pan], [Place("text", harmless(text).encode())])]
    assert left == []


EDGES = [
    ("", ""),
    ("card ", " paid"),
    ('{"ref":"', '"}'),
    ("x=", ";"),
    ("12:30 ", " 7"),
    ("(", ")"),
    ("INV", ""),
]


@pytest.mark.parametrize("digits", PHONES)
def test_no_form_of_a_phone_stays(digits: str) -> None:
    texts = phone_spellings(digits) + [
        form.data.decode("utf-8", "replace") for form in forms(digits) if not form.nibbles
    ]
    texts += [f"{before}{text}{after}" for text in texts for before, after in EDGES]
    left = [text for text in texts if found([digits], [Place("text", harmless(text).encode())])]
    assert left == []


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        KEY.hex(" "),
        KEY.hex(":"),
        f"x{KEY.hex()}y",
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        KEY[:8].hex(),
        f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(KEY).decode()}\n-----END PRIVATE KEY-----",
        "password=hunter2",
        'hub_token = "hunter2"',
        '"api_key":"hunter2"',
        "Authorization: Bearer hunter2",
        "enrolment-code: hunter2",
        "https://kafe:hunter2@hub.example/v1",
    ],
)
def test_a_key_is_hidden_and_so_is_what_is_named_one(text: str) -> None:
    for each in (text, f"before {text} behind"):
        shown = harmless(each)
        assert "hunter2" not in shown
        for width in (8, 12):
            assert KEY[:width].hex() not in shown.lower().replace(" ", "").replace(":", "")
        assert base64.b64encode(KEY).decode()[:12] not in shown
        assert base64.urlsafe_b64encode(KEY).decode()[:12] not in shown


def test_what_support_needs_stays_as_it_is() -> None:
    assert harmless(FACTS) == FACTS


@pytest.mark.parametrize(
    "text",
    ["\uff16\uff12\uff11\uff19861034529007", "6219\u200b8610\u200f3452\u20629007", "۶۲۱۹٨۶۱۰34529007",
     "%36%32%31%39861034529007", "&#54;&#50;19861034529007", "6219861\x00034529007", "6219.8610.3452.9007"],
)  # fmt: skip
def test_a_number_dressed_up_is_found_all_the_same(text: str) -> None:
    assert not found(["6219861034529007"], [Place("text", harmless(text).encode())])
    assert "9007" in harmless(text) or "<" in harmless(text)


def test_values_of_json_keep_their_shape() -> None:
    value = {
        "at": 1.5,
        "n": 3,
        "pan": 6219861034529007,
        "list": ["09121236789", None, {"4111111111111111": True}],
    }
    assert harmless_value(value) == {
        "at": 1.5, "n": 3, "pan": "<16 hex digits>",
        "list": ["0912•••6789", None, {"<16 hex digits>": True}],
    }  # fmt: skip


@given(st.text(max_size=300))
def test_what_is_harmless_stays_so(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)
