"""merchant_id leads: every primary key, every index and every statement. Nothing that Citus cannot do.

The schema is read from PostgreSQL's own catalogue after the migrations; the statements are every text in the
sources that is SQL, and those that are generated.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vafa.books.rows import TABLES
from vafa.hub import replay, tables
from vafa.hub.database import connect

SOURCES = sorted((Path(__file__).parents[2] / "src/vafa/hub").glob("*.py"))
# What is about the database itself, or about all merchants by name: (module, how the statement begins).
EXCEPT = {
    ("backup", "SELECT count(*) FROM pg_stat_activity"),
    ("backup", "SELECT 1 FROM pg_namespace"),
    ("migrations", "SELECT pg_advisory_xact_lock"),
    ("migrations", "CREATE TABLE IF NOT EXISTS schema_version"),
    ("migrations", "SELECT coalesce(max(version), 0) FROM schema_version"),
    ("migrations", "INSERT INTO schema_version"),
    ("merchants", "SELECT merchant_id, name, made_at, closed_at, token_key_id FROM merchant ORDER BY"),
}
_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|COPY|WITH|CREATE|ALTER|DROP|TRUNCATE|MERGE|LOCK)\b")
OTHER_THAN_ROWS = {"BEGIN", "COMMIT", "ROLLBACK"}


def constants(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(name, text) of every SQL text in a module; f-strings with their holes as `?`."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(str(p.value) if isinstance(p, ast.Constant) else "?" for p in node.values)
        if _SQL.match(text) and re.search(r"\b(FROM|INTO|SET|TABLE|COPY|pg_\w+)\b", text):
            yield "", " ".join(text.split())


def leads(statement: str) -> bool:
    """True when the statement touches the rows of one merchant only, or counts by merchant."""
    s = " ".join(statement.split())
    if s.startswith("INSERT INTO"):
        return re.match(r"INSERT INTO \w+ \(merchant_id,", s) is not None and _conflict_leads(s)
    if s.startswith("COPY"):
        return re.match(r"COPY \w+ \(merchant_id,", s) is not None
    if re.search(r"GROUP BY merchant_id(,|$| )", s) and " WHERE " not in s:
        return s.startswith("SELECT merchant_id,")
    tables_read = len(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO) (?!unnest|LATERAL|\()[a-z_]+\b", s))
    filters = len(re.findall(r"\bWHERE merchant_id = (?:%s|\?)", s))
    return tables_read > 0 and filters >= tables_read


def _conflict_leads(s: str) -> bool:
    return "ON CONFLICT" not in s or re.search(r"ON CONFLICT \(merchant_id\b", s) is not None


def all_statements() -> list[tuple[str, str]]:
    found = [
        (path.stem, text)
        for path in SOURCES
        if path.stem not in {"schema", "tables", "replay"}
        for _, text in constants(ast.parse(path.read_text()))
    ]
    for row_type in TABLES:
        made = tables.SQL[row_type]
        found += [("tables", text) for text in (made.find, made.copy, made.update, made.delete)]
    return found + [("replay", text) for text in replay._CLEAR.values()]


STATEMENTS = all_statements()


def test_the_statements_are_found() -> None:
    modules = {module for module, _ in STATEMENTS}
    assert len(STATEMENTS) > 80
    assert modules >= {
        "devices",
        "codes",
        "contact",
        "lines",
        "journal",
        "roster",
        "published",
        "forks",
        "metrics",
    }


@pytest.mark.parametrize(("module", "statement"), STATEMENTS)
def test_a_statement_begins_with_the_merchant(module: str, statement: str) -> None:
    if any(module == where and statement.startswith(text) for where, text in EXCEPT):
        return
    whole = statement.replace("FROM (?)", "FROM (SELECT 1 FROM line WHERE merchant_id = %s)")
    assert leads(whole), statement


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT device FROM device WHERE device = %s",
        "SELECT device FROM device",
        "SELECT device FROM device WHERE device = %s AND merchant_id = %s",
        "SELECT a FROM line JOIN journal USING (device) WHERE merchant_id = %s",
        "UPDATE device SET label = %s WHERE device = %s",
        "DELETE FROM code WHERE code_hash = %s",
        "INSERT INTO device (device, merchant_id) VALUES (%s, %s)",
        "INSERT INTO tick (merchant_id, tick) VALUES (%s, %s) ON CONFLICT (tick) DO NOTHING",
        "COPY journal (device, merchant_id) FROM STDIN",
        "SELECT count(*) FROM contact GROUP BY device",
    ],
)
def test_a_statement_without_the_merchant_first_is_refused(statement: str) -> None:
    assert not leads(statement)


def test_every_key_and_index_begins_with_the_merchant(dsn: str) -> None:
    with connect(dsn) as connection:
        found = connection.execute(
            "SELECT c.relname, i.relname, a.attname FROM pg_index x "
            "JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public' "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]"
        ).fetchall()
        keyed = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT EXISTS "
            "(SELECT 1 FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary)"
        ).fetchall()
    assert len(found) > 15
    assert {row for row in found if row[2] != "merchant_id"} == {
        ("schema_version", "schema_version_pkey", "version")
    }
    assert keyed == []


def test_there_is_nothing_a_distributed_postgresql_cannot_keep(dsn: str) -> None:
    with connect(dsn) as connection:
        kinds = connection.execute(
            "SELECT relkind::text, relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND relkind::text NOT IN ('r', 'i')"
        ).fetchall()
        constraints = connection.execute(
            "SELECT conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
            "WHERE n.nspname = 'public' AND contype IN ('f', 'x', 't')"
        ).fetchall()
        triggers = connection.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
        functions = connection.execute(
            "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'public'"
        ).fetchall()
    assert (kinds, constraints, triggers, functions) == ([], [], [], [])


def test_every_table_of_the_books_has_its_columns_at_the_hub(dsn: str) -> None:
    with connect(dsn) as connection:
        for row_type, table in TABLES.items():
            columns = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' "
                "AND table_name = %s ORDER BY ordinal_position",
                (table,),
            ).fetchall()
            names = [name for (name,) in columns]
            assert names == ["merchant_id", "device", "line", *row_type.__struct_fields__]
