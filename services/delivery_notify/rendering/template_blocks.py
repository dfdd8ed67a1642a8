"""Rendering of one template in two layouts: its blocks are rendered once, as text, and escaped for HTML.

Text and HTML therefore have the same content, and a template cannot contain markup.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from jinja2 import Template
from jinja2.runtime import Context
from markupsafe import escape


class _Block:
    """Block of a template, rendered once. Equal to the function it wraps, so that jinja resolves `super()` in it."""

    def __init__(self, render: Callable[[Context], Iterator[str]]) -> None:
        self._render, self._text = render, ""

    def __call__(self, context: Context) -> Iterator[str]:
        self._text = self._text or "".join(self._render(context))
        yield self._text

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._render

    __hash__ = None  # type: ignore[assignment]


class RenderedBlocks:
    """Blocks of one template: `text` in a text layout, `html()` in an HTML layout."""

    def __init__(self, template: Template, text_layout: Template, values: dict[str, Any]) -> None:
        values["layout"], self._values = text_layout, values
        self._context = _context(template, values)
        self._blocks = {name: _Block(render) for name, render in template.blocks.items()}
        for name, block in self._blocks.items():
            self._context.blocks[name] = [block]
        self.text = _render(template, self._context)

    def text_of(self, name: str) -> str:
        """Return the rendered text of one block; "" if the template does not fill it."""
        block = self._blocks.get(name)
        return "".join(block(self._context)) if block else ""

    def html(self, layout: Template) -> str:
        context = _context(layout, self._values)
        for name, block in self._blocks.items():
            context.blocks[name] = [partial(self._escape, block)]
        return _render(layout, context)

    def _escape(self, block: _Block, _: Context) -> Iterator[str]:
        for text in block(self._context):
            yield escape(text)


def _context(template: Template, values: dict[str, Any]) -> Context:
    """Build a context like `template.new_context`, without jinja's globals and without a copy of the values."""
    return Context(template.environment, values, template.name, template.blocks)


def _render(template: Template, context: Context) -> str:
    """Render like `template.render`, in the given context."""
    try:
        return template.environment.concat(template.root_render_func(context))
    except Exception:
        template.environment.handle_exception()
