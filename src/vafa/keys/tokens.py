"""Keyed tokens: how a phone or a card is known without being readable.

8 bytes of HMAC-SHA-256 under the token key. A card hash as terminals give it is unsalted, hence as good as
the card number itself; it goes in here and nowhere else.
"""

import hmac
from hashlib import blake2b, sha256

from vafa.keys.device_key import DeviceKey
from vafa.model.identity import CardToken, MemberId, TokenKind
from vafa.model.pan import CardHint, mask_pans

TOKEN_BYTES = 8
KEY_ID_BYTES = 2


class Tokens:
    """Makes member ids and card tokens under one token key."""

    def __init__(self, device_key: DeviceKey) -> None:
        key = device_key.derived("tokens")
        self.key_id = blake2b(key, digest_size=KEY_ID_BYTES, person=b"vafa key id").digest()
        self._keyed = hmac.new(
            key, digestmod=sha256
        )  # the key is taken in once, each token goes on from there

    def member_id(self, phone: str) -> MemberId:
        """The member id of an E.164 phone: one phone is one member at every device of the merchant."""
        return MemberId(self.key_id + self._token(b"phone", phone.encode()))

    def card_tokens(self, hint: CardHint) -> list[CardToken]:
        """The tokens of what a terminal told of a card, strongest first; empty when it told nothing."""
        tokens = []
        if hint.pan_sha256:
            tokens.append(self._card(TokenKind.CARD_HASH, hint.pan_sha256))
        if hint.bin6 and hint.last4:
            tokens.append(self._card(TokenKind.BIN_LAST4, (hint.bin6 + hint.last4).encode()))
        return tokens

    def without_pans(self, text: str) -> str:
        """`text` with every card number replaced by its keyed token, so distinct ids stay distinct."""
        return mask_pans(text, lambda pan: "t" + self._token(b"id", pan.encode()).hex())

    def _card(self, kind: TokenKind, evidence: bytes) -> CardToken:
        purpose = b"hash" if kind is TokenKind.CARD_HASH else b"bin4"
        return CardToken(bytes([kind]) + self.key_id + self._token(purpose, evidence))

    def _token(self, purpose: bytes, evidence: bytes) -> bytes:
        token = self._keyed.copy()
        token.update(purpose + b"\0" + evidence)
        return token.digest()[:TOKEN_BYTES]
