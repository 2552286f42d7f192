"""The tables of a ledger, as SQL.

Why this shape: 1 KiB pages and natural ordered keys write five times less flash than 4 KiB pages with random
keys; an award writes three rows (journal, payment, member). The journal is a rowid table keyed by its
sequence number, so it only ever appends at its right end; its one index holds the few EpochOpened rows, which
every outcome asks for, and costs an award nothing.
"""

import sqlite3

SCHEMA_VERSION = 9
# The oldest schema whose code can go on with a ledger of this one, should an update be rolled back: it finds
# its columns, and reads each row that is written now. A change it could not live with takes two releases, the
# first of which only reads it (docs/updating.md, "For developers"). A migration writes both into the ledger.
READABLE_SINCE = 8
# The first migration's; what came later stands apart, for a stored ledger gets it by a migration of its own.
TABLES = """
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL,
    till BLOB NOT NULL,
    state BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX journal_epoch ON journal (kind) WHERE kind = 1;
CREATE TABLE payment (
    scheme INTEGER NOT NULL,
    tid TEXT NOT NULL,
    ref TEXT NOT NULL,
    reuse INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    holder BLOB NOT NULL,
    claim TEXT,
    refunded INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scheme, tid, ref, reuse)
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_claim ON payment (claim) WHERE claim IS NOT NULL;
CREATE INDEX payment_waiting ON payment (holder) WHERE state = 4;
CREATE TABLE member (
    id BLOB PRIMARY KEY,
    state INTEGER NOT NULL,
    last4 TEXT NOT NULL,
    joined_seq INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    debt INTEGER NOT NULL,
    carry BLOB NOT NULL,
    visits INTEGER NOT NULL,
    spent INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE token (
    token BLOB NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (token, member)
) STRICT, WITHOUT ROWID;
CREATE TABLE sale (
    tid TEXT NOT NULL,
    request TEXT NOT NULL,
    seq INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    ended_seq INTEGER NOT NULL,
    PRIMARY KEY (tid, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX sale_open ON sale (tid) WHERE outcome IN (0, 5);
CREATE TABLE programme (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    hash BLOB NOT NULL,
    from_at INTEGER
) STRICT;
CREATE TABLE gap (
    seq INTEGER PRIMARY KEY,
    tid TEXT NOT NULL,
    closed_seq INTEGER NOT NULL
) STRICT;
CREATE TABLE lane (
    tid TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    trace TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE secret (
    member BLOB PRIMARY KEY,
    wrapped_key BLOB NOT NULL,
    phone BLOB NOT NULL,
    name BLOB
) STRICT, WITHOUT ROWID;
"""

SINCE_2 = """
CREATE TABLE alias (
    alias BLOB PRIMARY KEY,
    member BLOB NOT NULL,
    hub_order INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_member ON alias (member);
"""

# What the rules need beyond a rate. Members without any of it keep their rows as they are.
SINCE_3 = """
ALTER TABLE member ADD COLUMN lots BLOB NOT NULL DEFAULT x'';
ALTER TABLE member ADD COLUMN next_expiry INTEGER;
ALTER TABLE member ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN tier TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN tier_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN metric BLOB NOT NULL DEFAULT x'';
ALTER TABLE member ADD COLUMN standing BLOB NOT NULL DEFAULT x'';
CREATE INDEX member_expiry ON member (next_expiry) WHERE next_expiry IS NOT NULL;
CREATE INDEX member_tier ON member (tier) WHERE tier <> '';
CREATE TABLE lot (
    holder BLOB NOT NULL,
    seq INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    drawn INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    programme BLOB NOT NULL,
    PRIMARY KEY (holder, seq, expires_at)
) STRICT, WITHOUT ROWID;
CREATE TABLE hold (
    hold BLOB PRIMARY KEY,
    holder BLOB NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    points INTEGER NOT NULL,
    until INTEGER NOT NULL,
    request TEXT NOT NULL,
    ended_seq INTEGER NOT NULL,
    captured INTEGER NOT NULL,
    returned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_open ON hold (until) WHERE state = 1;
CREATE INDEX hold_request ON hold (request) WHERE request <> '';
CREATE TABLE offer (
    offer BLOB PRIMARY KEY,
    holder BLOB NOT NULL,
    seq INTEGER NOT NULL,
    from_at INTEGER,
    until INTEGER,
    spent_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX offer_open ON offer (holder) WHERE spent_seq = 0;
CREATE TABLE budget (
    programme BLOB PRIMARY KEY,
    numerator INTEGER NOT NULL,
    denominator INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# What members told of themselves, apart from the row that each award writes.
SINCE_4 = """
CREATE TABLE person (
    member BLOB PRIMARY KEY,
    told INTEGER NOT NULL,
    consent_at INTEGER
) STRICT, WITHOUT ROWID;
"""

# A hold is found by the sale it paid for and by its member; the few rows that attest the clock by an index
# that costs an award nothing.
SINCE_5 = """
ALTER TABLE hold ADD COLUMN payment BLOB NOT NULL DEFAULT x'';
CREATE INDEX hold_payment ON hold (payment) WHERE payment <> x'';
CREATE INDEX hold_holder ON hold (holder);
CREATE INDEX journal_clock ON journal (kind) WHERE kind = 3;
"""

# Claims, which a refund looks through for the award that a claimed payment goes by.
SINCE_6 = """
CREATE INDEX journal_claim ON journal (kind) WHERE kind = 33;
"""

# Branches that were left after a fork: how far they are counted here, and their rows, kept as evidence beside
# the books. In the ledger's own file: as durable as what was counted of them, and in its backups.
SINCE_7 = """
CREATE TABLE branch (
    first BLOB PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    at_seq INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    known INTEGER NOT NULL,
    left_out INTEGER NOT NULL,
    short INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE branch_row (
    first BLOB NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL,
    till BLOB NOT NULL,
    state BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (first, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX branch_row_seq ON branch_row (seq);
"""

# Offers: how many of a member's are open, what sets one aside, and all of a member's for who asks.
SINCE_8 = """
ALTER TABLE member ADD COLUMN offers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN offer BLOB NOT NULL DEFAULT x'';
ALTER TABLE offer ADD COLUMN hold BLOB NOT NULL DEFAULT x'';
CREATE INDEX offer_holder ON offer (holder, seq);
CREATE INDEX offer_until ON offer (until) WHERE spent_seq = 0 AND until IS NOT NULL;
"""

# Which forgettings of the merchant's other devices were heard here, whoever they were about, so that each
# counts once, also after a restored hub tells them again. Not in the books: what it did is a row of ours.
SINCE_9 = """
CREATE TABLE heard_forget (
    member BLOB NOT NULL,
    device INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_seq INTEGER NOT NULL,
    PRIMARY KEY (member, device, epoch, seq)
) STRICT, WITHOUT ROWID;
"""


def scratch_tables(connection: sqlite3.Connection) -> None:
    """Create the newest tables in a scratch database, such as the one verify rebuilds the books in.

    Without the indexes: nothing is looked for there but by its key.
    """
    later = SINCE_2 + SINCE_3 + SINCE_4 + SINCE_5 + SINCE_6 + SINCE_7 + SINCE_8 + SINCE_9
    # One transaction: ten times as fast as thirty.
    connection.executescript(f"BEGIN; {TABLES + later} COMMIT;")
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    for (name,) in connection.execute(indexes).fetchall():
        connection.execute(f"DROP INDEX {name}")
