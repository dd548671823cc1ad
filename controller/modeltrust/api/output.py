"""What an examination prints: lines of progress, and the report as the last one; read by whoever started it.

{"event":"started", …}
{"event":"reading","bytes":123}
{"identity": … the report … }
"""

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.work import Report

PROGRESS = b'{"event":'  # each line of progress starts with it, and no report does


def report_of(output: bytes) -> Report:
    """The report at the end of everything that an examination printed.

    Raises:
        MalformedError: no report, more than one, or something else between the lines; nothing of it is a fact.
        LimitExceededError: more bytes than any examination prints.
    """
    if len(output) > limits.OUTPUT_BYTES:
        raise LimitExceededError(f"got more than {limits.OUTPUT_BYTES} bytes of output")
    *progress, last, end = (b"\n" + output).split(b"\n")
    if end or not last:
        raise MalformedError("got output that ends within a line, expected a report and a line feed")
    if any(not line.startswith(PROGRESS) for line in progress[1:]):
        raise MalformedError("got output with something else than progress before its last line")
    return work.decode_report(last)
