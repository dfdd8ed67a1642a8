"""Problems of forms as faults that a page explains to the customer."""

from libs.common.http.problems import Problem

_EXPLAINED = frozenset(
    {
        "photo_too_large",
        "wrong_photo_type",
        "unreadable_photo",
        "too_many_photos",
        "already_left",
        "issue_closed",
    }
)


def fault_of(problem: Problem) -> str:
    """Return the key of the explanation under `fault` in the translations."""
    if problem.status == 429:
        return "too_many_uploads"
    if problem.status == 503:
        return "evidence_unavailable"
    return problem.code if problem.code in _EXPLAINED else "not_taken"
