"""Forms without files."""

from urllib.parse import parse_qs

from fastapi import Request


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name; nothing where it is no form."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
