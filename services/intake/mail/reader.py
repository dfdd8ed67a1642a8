"""Program that reads one mail: a short-lived process with its own limits of memory and CPU time.

    python -I reader.py < mail > answer

Anybody can write to an address for answers, and the standard library takes gigabytes or minutes for some headers and
HTML of some kilobytes. Here such a mail ends its reader alone, and is taken as one that cannot be read. The answer is a
line of JSON, then the pictures one after the other.
"""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

ADDRESS_SPACE_BYTES = 448 * 1024 * 1024
"""Of the whole process; macOS does not enforce it."""
CPU_SECONDS = 5

ROOT = Path(__file__).resolve().parents[3]


def main() -> None:
    """Read a mail from standard input and write the answer to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    sys.path.insert(0, str(ROOT))
    from services.intake.mail.reading import UnreadableMailError, read_mail

    try:
        mail = asdict(read_mail(sys.stdin.buffer.read()))
    except UnreadableMailError as error:
        sys.stdout.buffer.write(json.dumps({"refused": str(error)}).encode() + b"\n")
        return
    pictures = mail.pop("pictures")
    mail["sizes"] = [len(each) for each in pictures]
    sys.stdout.buffer.write(json.dumps(mail).encode() + b"\n")
    for each in pictures:
        sys.stdout.buffer.write(each)


if __name__ == "__main__":
    main()
