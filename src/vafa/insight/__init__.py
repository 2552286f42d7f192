"""Numbers a merchant sees, from plain rows: pure."""
