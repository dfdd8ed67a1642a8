"""`replace` for frozen dataclasses with slots, at a third of the cost of the standard one.

Every event makes a handful of new states out of old ones, most fields of which stay as they are. The standard `replace`
looks each field up by name and lets `__init__` set it through `object.__setattr__`; of a case with 26 fields that was a
tenth of all that returns did. Here the fields are read by one `attrgetter` and written through their slots.

Only for classes without `__post_init__` and without `init=False` fields: there, `__init__` does more than set fields.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

__all__ = ["replace"]

if TYPE_CHECKING:
    from dataclasses import replace  # the checker knows it: wrong fields and types are found
else:

    def replace(state: Any, /, **changes: Any) -> Any:
        """The same with these fields changed. Raises `TypeError` for a field that the class does not have."""
        read, write, by_name = _slots(type(state))
        new = object.__new__(type(state))
        for put, value in zip(write, read(state), strict=True):
            put(new, value)
        for name, value in changes.items():
            try:
                by_name[name](new, value)
            except KeyError:
                raise TypeError(f"{type(state).__name__} has no field {name!r}") from None
        return new


@cache
def _slots(
    cls: type,
) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[Callable[..., None], ...], dict[str, Callable[..., None]]]:
    names = [field.name for field in fields(cls)]
    if hasattr(cls, "__post_init__") or not all(
        isinstance(getattr(cls, name, None), MemberDescriptorType) for name in names
    ):
        raise TypeError(f"{cls.__name__}: use dataclasses.replace, for its fields are no plain slots")
    write = tuple(getattr(cls, name).__set__ for name in names)
    get = attrgetter(*names)
    return (get if len(names) > 1 else lambda state: (get(state),)), write, dict(zip(names, write, strict=True))
