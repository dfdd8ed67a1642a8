"""Problems of uploads as faults that a page explains to the customer."""

from libs.common.http.problems import Problem

_UPLOAD_FAULTS = frozenset({"photo_too_large", "wrong_photo_type", "unreadable_photo", "too_many_photos"})


def fault_of(problem: Problem) -> str:
    """Return the key of the explanation under `fault` in the translations."""
    if problem.status == 429:
        return "too_many_uploads"
    if problem.status == 503:
        return "evidence_unavailable"
    return problem.code if problem.code in _UPLOAD_FAULTS else "not_taken"
