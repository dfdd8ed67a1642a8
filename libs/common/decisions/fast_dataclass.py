"""`dataclass` whose frozen classes are created at a quarter of the cost of the standard ones.

A frozen class of the standard library sets each field through `object.__setattr__`, since its own `__setattr__` refuses
to. Here a frozen class has no `__setattr__` of its own. The type checker sees the standard function and refuses
assignments to fields as before; equality, hash, slots and representation are the same.

Only for classes of which an event creates one or more. A class and its bases have to use the same function.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass  # for the type checker: it refuses assignments to frozen fields
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, **options: Any) -> Any:
        """Return the class, or a decorator with these options, as `dataclasses.dataclass` does."""
        make: Callable[[type], type] = dataclasses.dataclass(unsafe_hash=frozen, **options)
        return make if cls is None else make(cls)
