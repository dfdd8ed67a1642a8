"""Random payloads built from the models, so that a new field is covered at once."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

TEXT = st.characters(codec="utf-8", exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc"))


class ModelBuilder:
    """Strategies of payloads.

    `by_name` holds the values of fields, as `field` or as `Model.field`, `by_type` those of all other fields of a type;
    texts with a pattern keep their own. `most` bounds all other numbers.
    """

    def __init__(
        self,
        by_name: Mapping[str, st.SearchStrategy[Any]] | None = None,
        by_type: Mapping[Any, st.SearchStrategy[Any]] | None = None,
        most: int = 2**31,
    ) -> None:
        self._by_name, self._by_type, self._most = by_name or {}, by_type or {}, most
        self._models: dict[type[BaseModel], st.SearchStrategy[Any]] = {}

    def models(self, model: type[BaseModel]) -> st.SearchStrategy[Any]:
        """Return instances of a model; options sometimes keep their default."""
        if model not in self._models:
            hints = get_type_hints(model, include_extras=True)
            fields = {name: self._field(model, name, hints[name]) for name in model.model_fields}
            required = {name: fields[name] for name, field in model.model_fields.items() if field.is_required()}
            optional = {name: each for name, each in fields.items() if name not in required}
            built = st.fixed_dictionaries(required, optional=optional).map(lambda drawn: model(**drawn))
            self._models[model] = built
        return self._models[model]

    def _field(self, model: type[BaseModel], name: str, hint: Any) -> st.SearchStrategy[Any]:
        named = [self._by_name[key] for key in (f"{model.__name__}.{name}", name) if key in self._by_name]
        return named[0] if named else self._values(hint)

    def _values(self, hint: Any, limits: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
        """Return values of one field within the limits of its annotation."""
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._values(inner[0], (*limits, *(part for limit in inner[1:] for part in _parts(limit))))
        if origin is Literal:
            return st.sampled_from(inner)
        if origin in (Union, UnionType):
            return st.one_of(*(self._values(one, limits) for one in inner))
        if origin is tuple:
            least, most = _limit(limits, "min_length", 0), min(_limit(limits, "max_length", 3), 3)
            return st.lists(self._values(inner[0]), min_size=least, max_size=most).map(tuple)
        return self._plain(hint, limits)

    def _plain(self, hint: Any, limits: tuple[Any, ...]) -> st.SearchStrategy[Any]:
        if hint in self._by_type and _limit(limits, "pattern", None) is None:
            return self._by_type[hint]
        if hint is type(None):
            return st.none()
        if hint is AwareDatetime:
            return st.datetimes(*_TIMES, timezones=st.just(UTC))
        if hint is str:
            return _texts(limits)
        if hint is int:
            least = _limit(limits, "ge", 0)
            return st.integers(least, max(least, min(_limit(limits, "le", self._most), self._most)))
        if hint is Decimal:
            places = _limit(limits, "decimal_places", 2)
            return st.decimals(min_value=-(10**9), max_value=10**9, places=places, allow_nan=False)
        if issubclass(hint, Enum):
            return st.sampled_from(hint)
        if issubclass(hint, BaseModel):
            return self.models(hint)
        return {bool: st.booleans(), date: st.dates(date(1900, 1, 1), date(2099, 12, 31)), UUID: st.uuids()}[hint]


_TIMES = (datetime.fromisoformat("2000-01-02"), datetime.fromisoformat("2099-12-30"))
"""Bounds of the contract for moments."""


def _texts(limits: tuple[Any, ...]) -> st.SearchStrategy[str]:
    pattern = _limit(limits, "pattern", None)
    if pattern:
        printable = st.characters(min_codepoint=33, max_codepoint=126)
        return st.from_regex(pattern.replace("$", r"\Z"), fullmatch=True, alphabet=printable)
    most = min(_limit(limits, "max_length", 20), 20)
    return st.text(TEXT, min_size=_limit(limits, "min_length", 0), max_size=most)


def _parts(limit: Any) -> list[Any]:
    return [part for inner in limit.metadata for part in _parts(inner)] if isinstance(limit, FieldInfo) else [limit]


def _limit(limits: tuple[Any, ...], name: str, default: Any) -> Any:
    """Return the value of a limit such as `ge`, anywhere in the annotation."""
    found = [value for limit in limits if (value := getattr(limit, name, None)) is not None]
    return found[-1] if found else default


models = ModelBuilder().models
"""Instances of a model with any values that the contract allows."""
