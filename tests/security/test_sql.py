"""SQL injection rule over the source of all services: values reach Postgres as parameters only.

SQL may be composed of module constants (column lists, shared conditions), never of function arguments. Any other
composition is reported. Queries passed to the database must be names or such texts, not computed expressions.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for part in ("libs", "services") for path in (ROOT / part).rglob("*.py"))

_SQL = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|TRUNCATE|WHERE|ORDER BY|GROUP BY|LIMIT \S|SET LOCAL|CREATE|ALTER|GRANT"
    r"|NOTIFY|COPY|VALUES|JOIN|FROM \S+|AND)\b"
)
_ASKING = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare", "cursor"}
_CONNECTIONS = {"conn", "connection", "tx", "pool", "admin"}

ALLOWED = {
    (
        "libs/common/postgres/state_table.py",
        "self.table",
    ): "a table, named at import; all but a plain word is refused",
    ("services/intake/store/search.py", "conditions"): "texts of that module, chosen by which filters there are",
    ("services/intake/store/search.py", "' AND '.join(conditions) or 'true'"): "the same",
    **{
        (
            "libs/common/postgres/db_grants.py",
            piece,
        ): "rights of tables: names of the catalogue, quoted by the database itself"
        for piece in ("role", "database", "name", "key", "granted")
    },
    **{
        ("libs/common/postgres/key_rotation.py", piece): "tables and columns of `EncryptedColumn` constants"
        for piece in (
            "column.table",
            "column.key",
            "column.column",
            "table",
            "name",
            "names",
            "source",
            "fields",
            "cleared",
            "digests",
            "derived",
        )
    },
    ("services/intake/store/insights/queries.py", "REPEAT_WITHIN.days"): "a number of that module",
    (
        "services/intake/store/insights/monthly_rollups.py",
        "QUERIES[kind]",
    ): "a statement of `queries`, by a kind of metric",
    (
        "services/intake/store/insights/monthly_rollups.py",
        "kind",
    ): "names of an enumeration and its statements, made once at import",
    ("services/intake/store/insights/monthly_rollups.py", "statement"): "the same",
    ("libs/common/privacy/verify_erasure.py", "row_bytes"): "columns of the catalogue, quoted; read only",
    ("libs/common/privacy/verify_erasure.py", "name"): "a column of the catalogue, quoted; read only",
    ("libs/common/privacy/verify_erasure.py", "sealed"): "columns of the catalogue, quoted; read only",
    ("libs/common/privacy/verify_erasure.py", "quoted"): "a table of the catalogue, quoted; read only",
}


def findings(source: str, path: str = "services/some/store.py") -> list[str]:
    """Yield SQL composed of more than constants: `path` and the part."""
    tree = ast.parse(source)
    constants = _constants(tree)
    found = []
    for node in ast.walk(tree):
        pieces = list(_foreign(node, constants)) if _looks_like_sql(node) else []
        if _asks(node) and isinstance(node, ast.Call) and not isinstance(node.args[0], _PLAIN):
            pieces.append(ast.unparse(node.args[0]))
        found += [f"{path}:{getattr(node, 'lineno', 0)}: {piece}" for piece in pieces if (path, piece) not in ALLOWED]
    return found


_PLAIN = (ast.Constant, ast.Name, ast.Attribute, ast.JoinedStr, ast.Starred)


def _constants(tree: ast.Module) -> set[str]:
    """Return upper-case names assigned once at module level or imported, and values that are not text."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.Assign(targets=targets):
                names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom(names=imported):
                names |= {one.asname or one.name for one in imported}
    return {name for name in names if name.lstrip("_").isupper() or name.lstrip("_").replace("_", "").isupper()}


def _looks_like_sql(node: ast.AST) -> bool:
    """Return whether text is composed here and its literal part is SQL."""
    written: ast.AST
    match node:
        case ast.JoinedStr():
            written = node
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            written = node
        case ast.Call(func=ast.Attribute(attr="format" | "join" | "format_map" | "replace")):
            written = node.func
        case _:
            return False
    texts = [part.value for part in ast.walk(written) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return any(_SQL.search(text) for text in texts)


def _foreign(node: ast.AST, constants: set[str]) -> Iterator[str]:
    """Return the parts that are no module constants."""
    match node:
        case ast.JoinedStr(values=values):
            pieces = [value.value for value in values if isinstance(value, ast.FormattedValue)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            pieces = [left, right]
        case ast.BinOp(right=right):
            pieces = [right]
        case ast.Call(args=args, keywords=keywords):
            pieces = [*args, *(keyword.value for keyword in keywords)]
        case _:
            pieces = []
    for piece in pieces:
        known = isinstance(piece, ast.Constant) or (isinstance(piece, ast.Name) and piece.id in constants)
        # what is put together within is looked at by itself
        if not known and not isinstance(piece, ast.JoinedStr | ast.BinOp):
            yield ast.unparse(piece)


def _asks(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name, value=place), args=[_, *_]) if name in _ASKING:
            return ast.unparse(place).rsplit(".", 1)[-1] in _CONNECTIONS
    return False


def test_no_value_becomes_part_of_a_statement() -> None:
    found = [one for path in SOURCES for one in findings(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())]
    assert found == []


def test_what_is_allowed_is_still_there() -> None:
    for path, piece in ALLOWED:
        written = (ROOT / path).read_text("utf-8").replace('"', "'")
        assert piece in written, f"{path}: {piece} is gone; take it off the list"


def test_the_rule_reads_all_stores() -> None:
    assert len([path for path in SOURCES if "store" in path.parts]) >= 10
    assert len(SOURCES) > 150


@pytest.mark.parametrize(
    "body",
    [
        'await conn.execute(f"DELETE FROM issues WHERE id = {wanted}")',
        "await conn.fetch(\"SELECT * FROM issues WHERE id = '%s'\" % wanted)",
        'await conn.fetchrow("SELECT * FROM issues WHERE id = " + wanted)',
        'await conn.fetchval("SELECT {} FROM issues".format(wanted))',
        'query = "SELECT * FROM issues WHERE " + wanted\n    await conn.fetch(query)',
        'query = f"SELECT * FROM issues ORDER BY {wanted}"\n    await self.pool.fetch(query)',
        'await conn.fetch("SELECT 1 WHERE " + " AND ".join(wanted))',
        'await conn.execute("SELECT $ FROM issues".replace("$", wanted))',
        "await conn.execute(statement_for(wanted))",
        "await conn.execute(str(wanted))",
    ],
)
def test_each_wrong_way_is_seen(body: str) -> None:
    assert findings(f"async def ask(conn, wanted):\n    {body}\n") != []


def test_constants_and_parameters_are_right() -> None:
    source = """
_COLUMNS = "id, body"
_ASK = f"SELECT {_COLUMNS} FROM issues WHERE id = $1"

async def ask(conn, wanted):
    query = f"SELECT {_COLUMNS} FROM issues WHERE id = $1"
    await conn.fetch(query, wanted)
    return await conn.fetch(_ASK, wanted)
"""
    assert findings(source) == []
