"""Headers of pages: nothing is stored, nothing foreign is loaded, no script or style stands in the page itself."""

from collections.abc import Sequence

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)


def page_headers(*, embedded_by: Sequence[str] = ()) -> dict[str, str]:
    """For a page with somebody's data. `embedded_by`: the origins of shops that may show it inside their own pages."""
    headers = {
        "Content-Security-Policy": _POLICY.format(ancestors=" ".join(embedded_by) or "'none'"),
        # The token of a link stands in the address, so it is handed to nobody. `same-origin` and not `no-referrer`:
        # with that, browsers would hide even from us where a form was sent from.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
    }
    if not embedded_by:
        headers |= {"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"}
    return headers
