"""Compatibility rule of published schemas: optional fields may be added; any other change needs a `v2`.

Values may be added to an enumeration. Where a reader decides by it, readers are deployed before writers; other fields
are `values.open_enums.Open`. Titles, descriptions and defaults may change freely.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_FREE = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$defs", "$ref"})
_WALKED = frozenset({"properties", "required", "items", "anyOf", "enum"})


def faults(published: Schema, changed: Schema) -> list[str]:
    """Return the incompatibilities of a change, each with the path of the field first."""
    return list(_Comparison(published, changed).compare("", published, changed))


class _Comparison:
    def __init__(self, published: Schema, changed: Schema) -> None:
        self._published = published.get("$defs", {})
        self._changed = changed.get("$defs", {})

    def compare(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        old, new = _resolve(old, self._published), _resolve(new, self._changed)
        yield from _rest(where, old, new)
        yield from self._fields(where, old, new)
        if "items" in old and "items" in new:
            yield from self.compare(f"{where}[]", old["items"], new["items"])
        yield from self._alternatives(where, old.get("anyOf", ()), new.get("anyOf", ()))
        lost = [value for value in old.get("enum", ()) if value not in new.get("enum", ())]
        if lost and "enum" in new:
            yield f"{where}: no longer accepts {', '.join(map(repr, lost))}; published values stay"

    def _fields(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            path = f"{where}.{name}".lstrip(".")
            if name not in after:
                yield f"{path}: was removed; a published field stays"
            else:
                yield from self.compare(path, before[name], after[name])
        for name in sorted(set(new.get("required", ())) ^ set(old.get("required", ()))):
            path = f"{where}.{name}".lstrip(".")
            if name in new.get("required", ()):
                yield f"{path}: became required; a new field is optional"
            elif name in after:
                yield f"{path}: is no longer required; readers rely on it"

    def _alternatives(self, where: str, old: Any, new: Any) -> Iterator[str]:
        if len(old) != len(new):
            yield f"{where}: accepts other types than before; a type stays"
        for before, after in zip(old, new, strict=False):
            yield from self.compare(where, before, after)


def _resolve(node: Schema, definitions: Schema) -> Schema:
    return definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def _rest(where: str, old: Schema, new: Schema) -> Iterator[str]:
    """Compare type, format and limits: all keywords that are neither walked nor free to change."""
    for key in sorted((old.keys() | new.keys()) - _FREE - _WALKED):
        if old.get(key) != new.get(key):
            yield f"{where}: {key} was {old.get(key)!r} and became {new.get(key)!r}; a type stays"
    if ("enum" in old) != ("enum" in new):
        yield f"{where}: an enumeration became something else, or the reverse; a type stays"
