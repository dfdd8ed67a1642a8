"""Security headers of pages: no storage, no third-party content, no inline script or style."""

from collections.abc import Sequence

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob:{logo}; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)


def page_headers(*, embedded_by: Sequence[str] = (), logo_origin: str = "") -> dict[str, str]:
    """Return the headers of a page with personal data.

    `embedded_by`: origins that may show it in a frame. `logo_origin`: origin of the shop's logo, "" for none.
    """
    headers = {
        "Content-Security-Policy": _POLICY.format(
            ancestors=" ".join(embedded_by) or "'none'", logo=f" {logo_origin}" if logo_origin else ""
        ),
        # A link's token is part of the URL, so no other site may receive it. Not `no-referrer`: browsers would then
        # omit the origin of our own forms.
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
