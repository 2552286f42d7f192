"""What a rule of the books is made of: the rows it reads, the rows it changes, the sums after it."""

from math import gcd
from typing import Protocol

import msgspec

from vafa.books.rows import BookRow, Key, MemberRow, PaymentRow, R
from vafa.books.till import TillSums
from vafa.model.payment import PaymentKey


class Impossible(ValueError):
    """The event cannot follow this state; the message says which condition fails."""


class State(Protocol):
    """Where `apply` reads rows from: a ledger's transaction, or a dictionary in a simulation."""

    def find(self, row_type: type[R], key: Key) -> R | None:
        """The row with this primary key, or None."""
        ...


class Change(msgspec.Struct, frozen=True, gc=False):
    """One row of the books: `old` None when it is new, `new` None when it goes."""

    old: BookRow | None
    new: BookRow | None


class Effect(msgspec.Struct, frozen=True, gc=False):
    """The rows an event changes, and the till's sums after it."""

    changes: tuple[Change, ...]
    till: TillSums


def floor_sum(carry: tuple[int, int], contribution: tuple[int, int]) -> int:
    """floor(carry + contribution): the whole points a contribution makes."""
    carried, of_carry = carry
    given, of_given = contribution
    return (carried * of_given + given * of_carry) // (of_carry * of_given)


def floor_and_rest(carry: tuple[int, int], contribution: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """`floor_sum` and `fraction_left` of one sum: each sale asks for both."""
    carried, of_carry = carry
    given, of_given = contribution
    denominator = of_carry * of_given
    points, rest = divmod(carried * of_given + given * of_carry, denominator)
    divisor = gcd(rest, denominator)
    return points, (rest // divisor, denominator // divisor)


def fraction_left(carry: tuple[int, int], contribution: tuple[int, int]) -> tuple[int, int]:
    """The fraction of carry + contribution above its floor, in lowest terms; (0, 1) when none."""
    carried, of_carry = carry
    given, of_given = contribution
    denominator = of_carry * of_given
    rest = (carried * of_given + given * of_carry) % denominator
    divisor = gcd(rest, denominator)
    return rest // divisor, denominator // divisor


def payment_row(state: State, key: PaymentKey) -> PaymentRow | None:
    """The payment with this key."""
    return state.find(PaymentRow, (key.scheme, key.tid, key.ref, key.reuse))


def require(condition: bool, what: str) -> None:  # noqa: FBT001 - an assertion with a name
    """Raises Impossible, saying `what`, unless the condition holds."""
    if not condition:
        raise Impossible(what)


def paying(row: MemberRow, points: int) -> int:
    """How many of new points go into the holder's debt; mostly there is none."""
    return min(row.debt, max(points, 0)) if row.debt else 0


def credited(row: MemberRow, points: int) -> tuple[MemberRow, int]:
    """The holder's row with new points, which pay a debt first; and how many did."""
    pays = paying(row, points)
    return msgspec.structs.replace(row, balance=row.balance + points - pays, debt=row.debt - pays), pays


def credit_posted(till: TillSums, points: int, pays: int) -> TillSums:
    """Points issued, `pays` points of the holders going straight into debts."""
    if not pays:
        return till.issued_to_members(points)
    posted = till.posted(member=points - pays, clawed=pays, issued=-points)
    return msgspec.structs.replace(posted, debt=posted.debt - pays)
