"""Lines of a counted box, compared with a case."""

from libs.common.events.values import CountedLine
from services.returns.domain.state.case import Case


def named_line(case: Case, line: CountedLine) -> CountedLine:
    """Return the line with an order line: a line without one is that of its article, or the first one."""
    if line.line_id:
        return line
    by_sku = {each.sku: each.line_id for each in case.lines}
    return line.model_copy(update={"line_id": by_sku.get(line.sku or "") or case.lines[0].line_id})


def is_of_another_issue(case: Case, line: CountedLine) -> bool:
    """Return whether a line names another issue or order, or an order line that this case is not about."""
    if line.issue_id:
        return line.issue_id != case.issue_id
    if line.order_id and line.order_id != case.order_id:
        return True
    return line.line_id is not None and line.line_id not in case.reported_units and not line.replacement_id
