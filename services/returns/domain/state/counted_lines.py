"""Lines of a counted box, compared with a case."""

from typing import NamedTuple
from uuid import UUID

from libs.common.events.values import CountedLine
from services.returns.domain.state.case import Case


class Destination(NamedTuple):
    """Issue, order or replacement that a counted line names and that is not of the case that has its box, if any."""

    issue_id: UUID | None = None
    order_id: str | None = None
    replacement_id: UUID | None = None

    @property
    def is_named(self) -> bool:
        return any(self)


def named_line(case: Case, line: CountedLine) -> CountedLine:
    """Return the line with an order line: a line without one is that of its article, or the first one."""
    if line.line_id:
        return line
    by_sku = {each.sku: each.line_id for each in case.lines}
    return line.model_copy(update={"line_id": by_sku.get(line.sku or "") or case.lines[0].line_id})


def destination(case: Case, line: CountedLine, issue_of_box: UUID | None = None) -> Destination:
    """Return the other issue, or order and replacement, that a line names. `issue_of_box`: of lines that name none."""
    issue_id = line.issue_id or issue_of_box
    if issue_id and issue_id != case.issue_id:
        return Destination(issue_id=issue_id)
    if line.issue_id:
        return Destination()
    order_id = line.order_id if line.order_id != case.order_id else None
    is_ours = any(leg.replacement_id == line.replacement_id for leg in case.replacements)
    return Destination(order_id=order_id, replacement_id=None if is_ours else line.replacement_id)


def is_of_another_issue(case: Case, line: CountedLine, issue_of_box: UUID | None = None) -> bool:
    """Return whether a line names another issue, order or replacement, or an order line that is not of this case."""
    if destination(case, line, issue_of_box).is_named:
        return True
    is_unknown = line.line_id is not None and line.line_id not in case.reported_units
    return is_unknown and not line.issue_id and not line.replacement_id
