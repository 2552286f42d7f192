"""The SQLite ledger: schema, the one write path, verification, reads."""
