"""The till's accounts: double entry over where a point can be.

Each event's postings sum to zero, so the accounts always do. A point a member can spend is +1 on `member` and
-1 on `issued`, the account it came from.
"""

import msgspec

ACCOUNTS = ("member", "issued", "redeemed", "expired", "clawed", "transit", "float", "suspense")
_ACCOUNTS = frozenset(ACCOUNTS)


class TillSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Totals of one till after an event; rides in the event's journal row. New accounts are appended.

    member     points lying with members and on waiting cards; the others say where they came from or went
    debt       what members owe, no account of its own: claw-backs that found no points to take
    """

    member: int = 0
    issued: int = 0
    redeemed: int = 0
    expired: int = 0
    clawed: int = 0
    transit: int = 0
    float: int = 0
    suspense: int = 0
    debt: int = 0

    def posted(self, **postings: int) -> "TillSums":
        """The sums after a balanced set of postings. An unbalanced set is our bug."""
        assert sum(postings.values()) == 0, f"postings do not balance: {postings}"
        assert _ACCOUNTS.issuperset(postings), f"no such account: {postings}"
        return msgspec.structs.replace(self, **{k: getattr(self, k) + v for k, v in postings.items()})

    def issued_to_members(self, points: int) -> "TillSums":
        """What nearly every row posts, balanced by the way it is written."""
        return msgspec.structs.replace(self, member=self.member + points, issued=self.issued - points)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TillSums)


def pack(till: TillSums) -> bytes:
    """Canonical MessagePack of the sums, zeros at the end left out."""
    values = msgspec.structs.astuple(till)
    told = len(values)
    for value in reversed(values):
        if value:
            break
        told -= 1
    return _encoder.encode(values[:told])


def unpack(packed: bytes) -> TillSums:
    """The sums of a journal row. ValueError when they do not fit."""
    return _decoder.decode(packed)
