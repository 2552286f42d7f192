"""A ledger as an earlier Vafa has left it: rows of today's, tables and columns of then."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from shop import TID, Shop

from vafa.ledger.upkeep import checkpoint
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

# What each schema has beyond the one before it, taken away again: (schema, what leaves it).
_TAKEN = (
    (9, ("DROP TABLE heard_forget",)),
    (
        8,
        (
            "DROP INDEX offer_until",
            "DROP INDEX offer_holder",
            "ALTER TABLE offer DROP COLUMN hold",
            "ALTER TABLE hold DROP COLUMN offer",
            "ALTER TABLE member DROP COLUMN offers",
        ),
    ),
    (7, ("DROP TABLE branch_row", "DROP TABLE branch")),
    (6, ("DROP INDEX journal_claim",)),
    (
        5,
        (
            "DROP INDEX journal_clock",
            "DROP INDEX hold_holder",
            "DROP INDEX hold_payment",
            "ALTER TABLE hold DROP COLUMN payment",
        ),
    ),
    (4, ("DROP TABLE person",)),
    (
        3,
        (
            *(f"DROP TABLE {table}" for table in ("budget", "offer", "hold", "lot")),
            "DROP INDEX member_tier",
            "DROP INDEX member_expiry",
            *(
                f"ALTER TABLE member DROP COLUMN {column}"
                for column in ("standing", "metric", "tier_since", "tier", "held", "next_expiry", "lots")
            ),
        ),
    ),
    (2, ("DROP TABLE alias",)),
)


def strip(connection: sqlite3.Connection, schema: int) -> None:
    """Make the ledger one of this schema."""
    for version, statements in _TAKEN:
        for statement in statements if version > schema else ():
            connection.execute(statement)
    kept = f"m{schema + 1:03d}"
    connection.execute("DELETE FROM _sqlite_migrations WHERE name >= ?", (kept,))
    connection.execute(f"PRAGMA user_version = {schema}")
    connection.commit()


def old_ledger(state: Path, schema: int) -> list[dict[str, Any]]:
    """One in `state`, with its key; the payments in it, as they were told."""
    (state / "keys").mkdir()
    (state / "keys" / "device.key").write_text((b"k" * 32).hex() + "\n")
    (state / "keys" / "device.key").chmod(0o600)
    shop = Shop(state)
    told = []
    for number in range(8):
        key = PaymentKey(Scheme.SENDER, TID, f"old-{number}")
        outcome = shop.counter.post(Payment(key=key, amount=5_000 + number, source=Source.LOCAL))
        told.append(
            {
                "answer": "paid",
                "terminal": TID,
                "ref": key.ref,
                "amount": outcome.amount,
                "number": outcome.number,
            }
        )
    shop.members.add("09121236789", "", "test")
    shop.ledger.close()
    with contextlib.closing(sqlite3.connect(shop.ledger.path)) as old:
        strip(old, schema)
    checkpoint(shop.ledger.path)
    return told
