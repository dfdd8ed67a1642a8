"""Identity of an error: equal for the same fault at the same place."""


def fault_of(error: Exception) -> str:
    """Return type and place of an error."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__} {place}"
