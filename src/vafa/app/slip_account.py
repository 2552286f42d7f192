"""Points of a slip, spent by whoever holds it: no phone is told, the claim code is the proof.

What waits under the code becomes an account of its own: a member id that no phone leads to. It has what the
slip says and no more: a bonus for who joins is for who joins, not for each slip. A phone that claims the code
later gets the account as an alias, with what is left in it.
"""

from vafa.app import claiming
from vafa.app.members import Members, slip_account
from vafa.books.rows import PaymentRow, PaymentState
from vafa.keys.tokens import Tokens
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.identity import ascii_digits


def account_of(tx: Transaction, tokens: Tokens, code: str, by: str) -> bytes:
    """The id that has the points of a claim code, opened where they still wait.

    NotFound; Refused for what was undone, or belongs to who told a phone: then it is theirs to spend.
    """
    wanted = ascii_digits(code).replace(" ", "")
    row = reads.payment_of_claim(tx.connection, wanted)
    if row is None:
        raise NotFound("no points wait under this code", fix="read it again from the paper, digit by digit")
    if row.state == PaymentState.REVERSED:
        raise Refused("this purchase was undone: no points wait", fix="vafa why " + row.ref)
    if row.state == PaymentState.WAITING:
        return _opened(tx, tokens, wanted, row, by)
    account = slip_account(tx, row.holder)
    if account is None:
        raise Refused("these points were claimed by a member", fix="ask for the phone")
    return account.id


def _opened(tx: Transaction, tokens: Tokens, code: str, row: PaymentRow, by: str) -> bytes:
    key = row.key
    account = tokens.member_id(f"slip {key.scheme:d}/{key.tid}/{key.ref}/{key.reuse}")
    tx.post(events.Enrol(account, "", by))
    if not row.holder and claiming.by_rules(tx, [row]):
        claiming.as_it_waits(tx, account, code, row, by)
    else:
        Members.claim_within(tx, code, account, by)
    return account
