"""The hub's tables, as SQL for PostgreSQL 15 and newer.

`merchant_id` leads every primary key and index, and no key crosses merchants: one PostgreSQL holds them, and
so does Citus (`create_distributed_table(t, 'merchant_id')` on each), without sequences, triggers or foreign
keys. The books are the device's own tables with (merchant, device, line) in front.

A **line** is one unbroken chain of a device's journal. Mostly there is one. A restored backup, or a copied
card that went on, continues from an earlier row: its rows are another line, which names the line and the row
it leaves. So nothing a device sends ever replaces what was received, and both branches stay as evidence.
"""

# Times are UTC milliseconds of the hub's clock unless a column says whose they are.
TABLES = """
CREATE TABLE merchant (
    merchant_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    made_at bigint NOT NULL,
    closed_at bigint,
    token_key_id bytea,
    token_key_sealed bytea,
    PRIMARY KEY (merchant_id)
);
CREATE TABLE code (
    merchant_id text COLLATE "C" NOT NULL,
    code_hash bytea NOT NULL,
    label text NOT NULL,
    made_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint,
    device bigint,
    PRIMARY KEY (merchant_id, code_hash)
);
CREATE TABLE enrol_tries (
    merchant_id text COLLATE "C" NOT NULL,
    tokens double precision NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (merchant_id)
);
CREATE TABLE tick (
    merchant_id text COLLATE "C" NOT NULL,
    tick bigint NOT NULL,
    PRIMARY KEY (merchant_id)
) WITH (fillfactor = 20);
CREATE TABLE batch (
    merchant_id text COLLATE "C" NOT NULL,
    tick bigint NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (merchant_id, tick)
);
CREATE TABLE device (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    label text NOT NULL,
    ledger_id bytea NOT NULL,
    sign_key bytea NOT NULL,
    seal_key bytea NOT NULL,
    key_id bytea NOT NULL,
    enrolled_at bigint NOT NULL,
    revoked_at bigint,
    PRIMARY KEY (merchant_id, device)
);
CREATE TABLE contact (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    seen_at bigint NOT NULL,
    request_digest bytea NOT NULL,
    answer bytea NOT NULL,
    tokens double precision NOT NULL,
    tokens_at bigint NOT NULL,
    skew_ms bigint NOT NULL,
    newest bigint NOT NULL,
    facts bytea NOT NULL,
    facts_at bigint NOT NULL,
    rewinds bigint NOT NULL,
    PRIMARY KEY (merchant_id, device)
) WITH (fillfactor = 50);
CREATE TABLE line (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    parent bigint,
    left_seq bigint NOT NULL,
    opened_at bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    till bytea NOT NULL,
    state bytea NOT NULL,
    whole boolean NOT NULL,
    grown_at bigint NOT NULL,
    safe_epoch bigint NOT NULL DEFAULT 0,
    safe_seq bigint NOT NULL DEFAULT 0,
    safe_hash bytea NOT NULL DEFAULT '',
    accepted_at bigint,
    PRIMARY KEY (merchant_id, device, line)
) WITH (fillfactor = 50);
CREATE TABLE journal (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind bigint NOT NULL,
    body bytea NOT NULL,
    till bytea NOT NULL,
    state bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (merchant_id, device, line, seq)
);
CREATE TABLE suspense (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    kind bigint NOT NULL,
    reason text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, seq)
);
CREATE TABLE programme_version (
    merchant_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    id bytea NOT NULL,
    hash bytea NOT NULL,
    document text NOT NULL,
    from_at bigint,
    published_at bigint NOT NULL,
    PRIMARY KEY (merchant_id, number)
);
CREATE TABLE message (
    merchant_id text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    number bigint NOT NULL,
    holder bytea NOT NULL,
    fa text NOT NULL,
    en text NOT NULL,
    from_at bigint,
    until_at bigint,
    made_at bigint NOT NULL,
    gone boolean NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE TABLE payment (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    scheme bigint NOT NULL,
    tid text COLLATE "C" NOT NULL,
    ref text COLLATE "C" NOT NULL,
    reuse bigint NOT NULL,
    seq bigint NOT NULL,
    state bigint NOT NULL,
    amount bigint NOT NULL,
    holder bytea NOT NULL,
    claim text,
    refunded bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, scheme, tid, ref, reuse)
);
CREATE TABLE member (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    id bytea NOT NULL,
    state bigint NOT NULL,
    last4 text NOT NULL,
    joined_seq bigint NOT NULL,
    balance bigint NOT NULL,
    debt bigint NOT NULL,
    carry bytea NOT NULL,
    visits bigint NOT NULL,
    spent bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, id)
) WITH (fillfactor = 70);
CREATE TABLE token (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    token bytea NOT NULL,
    member bytea NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, token, member)
);
CREATE INDEX token_member ON token (merchant_id, device, line, member);
CREATE TABLE sale (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    tid text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    outcome bigint NOT NULL,
    ended_seq bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, tid, request)
);
CREATE TABLE programme (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    seq bigint NOT NULL,
    id bytea NOT NULL,
    hash bytea NOT NULL,
    from_at bigint,
    PRIMARY KEY (merchant_id, device, line, seq)
);
CREATE TABLE gap (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    seq bigint NOT NULL,
    tid text NOT NULL,
    closed_seq bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, seq)
);
CREATE TABLE lane (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    tid text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    trace text NOT NULL,
    PRIMARY KEY (merchant_id, device, line, tid)
);
CREATE TABLE alias (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    alias bytea NOT NULL,
    member bytea NOT NULL,
    hub_order bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, alias)
);
CREATE INDEX alias_member ON alias (merchant_id, device, line, member);
"""

# The second step: what rules beyond a rate need, as in ledger/schema.py.
RULES = """
ALTER TABLE member
    ADD COLUMN lots bytea NOT NULL DEFAULT '',
    ADD COLUMN next_expiry bigint,
    ADD COLUMN held bigint NOT NULL DEFAULT 0,
    ADD COLUMN tier text NOT NULL DEFAULT '',
    ADD COLUMN tier_since bigint NOT NULL DEFAULT 0,
    ADD COLUMN metric bytea NOT NULL DEFAULT '',
    ADD COLUMN standing bytea NOT NULL DEFAULT '';
CREATE TABLE lot (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    holder bytea NOT NULL,
    seq bigint NOT NULL,
    expires_at bigint NOT NULL,
    drawn bigint NOT NULL,
    available_at bigint NOT NULL,
    programme bytea NOT NULL,
    PRIMARY KEY (merchant_id, device, line, holder, seq, expires_at)
);
CREATE TABLE hold (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    hold bytea NOT NULL,
    holder bytea NOT NULL,
    seq bigint NOT NULL,
    state bigint NOT NULL,
    points bigint NOT NULL,
    until bigint NOT NULL,
    request text NOT NULL,
    ended_seq bigint NOT NULL,
    captured bigint NOT NULL,
    returned bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, hold)
);
CREATE TABLE offer (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    offer bytea NOT NULL,
    holder bytea NOT NULL,
    seq bigint NOT NULL,
    from_at bigint,
    until bigint,
    spent_seq bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, offer)
);
CREATE TABLE budget (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    programme bytea NOT NULL,
    numerator bigint NOT NULL,
    denominator bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, programme)
);
"""

# The third step: what members told of themselves.
PEOPLE = """
CREATE TABLE person (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    member bytea NOT NULL,
    told bigint NOT NULL,
    consent_at bigint,
    PRIMARY KEY (merchant_id, device, line, member)
);
"""

# The fourth step: which sale a hold paid for, as in ledger/schema.py.
REDEEMING = """
ALTER TABLE hold ADD COLUMN payment bytea NOT NULL DEFAULT '';
"""

# The fifth step: how far a line has counted the branches it left, as in ledger/schema.py; and which of a
# device's lines opened an epoch last (lines.current).
BRANCHES = """
ALTER TABLE line ADD COLUMN fence bigint NOT NULL DEFAULT 0;
CREATE TABLE branch (
    merchant_id text COLLATE "C" NOT NULL,
    device bigint NOT NULL,
    line bigint NOT NULL,
    first bytea NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    at_seq bigint NOT NULL,
    counted bigint NOT NULL,
    known bigint NOT NULL,
    left_out bigint NOT NULL,
    short bigint NOT NULL,
    PRIMARY KEY (merchant_id, device, line, first)
);
"""

# The sixth step: offers, as in ledger/schema.py.
OFFERS = """
ALTER TABLE member ADD COLUMN offers bigint NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN offer bytea NOT NULL DEFAULT '';
ALTER TABLE offer ADD COLUMN hold bytea NOT NULL DEFAULT '';
"""

# The seventh step: whom a person had forgotten at which device, for the merchant's others to hear of. `chain`
# names an entry with all before it.
FORGOTTEN = """
CREATE TABLE forgotten (
    merchant_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    member bytea NOT NULL,
    device bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    chain bytea NOT NULL,
    PRIMARY KEY (merchant_id, number)
);
CREATE INDEX forgotten_chain ON forgotten (merchant_id, chain);
"""
