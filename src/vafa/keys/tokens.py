"""Keyed tokens: how a phone or a card is known without being readable.

8 bytes of HMAC-SHA-256 under the token key. A card hash as terminals give it is unsalted, hence as good as
the card number itself; it goes in here and nowhere else.
"""

import hmac
import re
from hashlib import blake2b, sha256

from vafa.keys.device_key import DeviceKey
from vafa.model.identity import CardToken, MemberId, TokenKind
from vafa.model.pan import PAN_DIGITS_MIN, CardHint, mask_pans

TOKEN_BYTES = 8
KEY_ID_BYTES = 2
_LONG_NUMBER = re.compile(f"[0-9]{{{PAN_DIGITS_MIN}}}")


class Tokens:
    """Makes member ids and card tokens under the merchant's token key, and knows those of the device's own.

    Before enrolment the two are one: the device's. A merchant's first device gives its key to the merchant; a
    later one takes the merchant's (`adopt`) and keeps its own, by which what it knew before is found.
    """

    def __init__(self, device_key: DeviceKey, merchant_key: bytes = b"") -> None:
        self.own_key = device_key.derived("tokens")
        self._own = _Keyed(self.own_key)
        self._sets: tuple[_Keyed, ...] = (self._own,)  # the one that makes new ids first
        if merchant_key:
            self.adopt(merchant_key)

    def adopt(self, merchant_key: bytes) -> None:
        """New ids are made under the merchant's key from now on. In any thread, while others make some."""
        merchant = _Keyed(merchant_key)
        self._sets = (self._own,) if merchant.key_id == self._own.key_id else (merchant, self._own)

    @property
    def key_id(self) -> bytes:
        """Of the key that makes new ids."""
        return self._sets[0].key_id

    @property
    def own_key_id(self) -> bytes:
        """Of the device's own key."""
        return self._own.key_id

    @property
    def are_two(self) -> bool:
        """True at a merchant's later devices: ids of before are under another key than new ones."""
        return len(self._sets) > 1

    def member_id(self, phone: str) -> MemberId:
        """The member id of an E.164 phone: one phone is one member at every device of the merchant."""
        return self._sets[0].member_id(phone)

    def member_ids(self, phone: str) -> list[MemberId]:
        """Every id a phone may have here: under the merchant's key, then under the device's own."""
        return [each.member_id(phone) for each in self._sets]

    def card_tokens(self, hint: CardHint) -> list[CardToken]:
        """The tokens of what a terminal told of a card, strongest first; empty when it told nothing.

        Of each kind the one of the merchant's key comes before the device's own.
        """
        tokens = []
        if hint.pan_sha256:
            tokens += [each.card(TokenKind.CARD_HASH, b"hash", hint.pan_sha256) for each in self._sets]
        if hint.bin6 and hint.last4:
            digits = (hint.bin6 + hint.last4).encode()
            tokens += [each.card(TokenKind.BIN_LAST4, b"bin4", digits) for each in self._sets]
        return tokens

    def without_pans(self, text: str) -> str:
        """`text` with every card number replaced by its keyed token, so distinct ids stay distinct.

        Always under the device's own key: such a text may be a payment's identity, which never changes.
        """
        return mask_pans(text, lambda pan: "t" + no_pan(self._own.token(b"id", pan.encode()).hex()))


def no_pan(digits: str) -> str:
    """A token in hex that chance made of so many decimals that it would be taken for a card number itself."""
    half = len(digits) // 2
    return f"{digits[:half]}t{digits[half:]}" if _LONG_NUMBER.search(digits) else digits


class _Keyed:
    """The tokens of one key."""

    def __init__(self, key: bytes) -> None:
        self.key_id = key_id(key)
        self._keyed = hmac.new(
            key, digestmod=sha256
        )  # the key is taken in once, each token goes on from there

    def member_id(self, phone: str) -> MemberId:
        return MemberId(self.key_id + self.token(b"phone", phone.encode()))

    def card(self, kind: TokenKind, purpose: bytes, evidence: bytes) -> CardToken:
        return CardToken(bytes([kind]) + self.key_id + self.token(purpose, evidence))

    def token(self, purpose: bytes, evidence: bytes) -> bytes:
        token = self._keyed.copy()
        token.update(purpose + b"\0" + evidence)
        return token.digest()[:TOKEN_BYTES]


def key_id(key: bytes) -> bytes:
    """What a token key is called in the ids made under it; tells nothing of the key."""
    return blake2b(key, digest_size=KEY_ID_BYTES, person=b"vafa key id").digest()
