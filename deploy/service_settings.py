"""Settings class of a service by its name, for tools that work on all services."""

import importlib

from libs.common.config.settings import ServiceSettings


def settings_class(service: str) -> type[ServiceSettings]:
    """Return the most derived `ServiceSettings` that `services.<service>.settings` defines."""
    module = importlib.import_module(f"services.{service}.settings")
    classes = [
        value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__
    ]
    candidates = [cls for cls in classes if issubclass(cls, ServiceSettings)]
    return max(candidates, key=lambda cls: len(cls.__mro__))
