"""Mails as mail programs of Japan and elsewhere write them: as bytes, since no library builds all of them."""

import base64
import html
import quopri
from collections.abc import Mapping
from dataclasses import dataclass, field

ANSWER = "髙橋です。蓋にひびが入っています①。\n写真を送ります。"
QUOTED = "髙橋 様\nいつもありがとうございます。写真を１枚お送りください。"
QUOTE = "\n".join(f"> {line}" for line in QUOTED.split("\n"))

SHAPES: Mapping[str, str] = {
    "new mail": ANSWER,
    "gmail": f"{ANSWER}\n\n2026年3月4日(水) 10:15 青葉商店 <support@shop.example>:\n\n{QUOTE}\n",
    "gmail in english": f"{ANSWER}\n\nOn Wed, Mar 4, 2026 at 10:15 AM 青葉商店 <s@shop.example>\nwrote:\n\n{QUOTE}\n",
    "iphone": f"{ANSWER}\n\niPhoneから送信\n\n2026/03/04 10:15、青葉商店 <support@shop.example>のメール:\n\n{QUOTE}\n",
    "outlook": f"{ANSWER}\n\n________________________________\n差出人: 青葉商店 <support@shop.example>\n"
    f"送信日時: 2026年3月4日 10:15\n宛先: 髙橋\n件名: 写真のお願い\n\n{QUOTED}",
    "outlook in english": f"{ANSWER}\n\nFrom: 青葉商店 <support@shop.example>\nSent: Wednesday, March 4\nTo: 髙橋\n"
    f"Subject: 写真\n\n{QUOTED}",
    "yahoo": f'{ANSWER}\n\n----- Original Message -----\nFrom: "青葉商店" <s@shop.example>\nTo: h@a.jp\n\n{QUOTED}',
    "below the quote": f"{QUOTE}\n\n{ANSWER}\n\n-- \n髙橋 花子\n090-0000-0000\n",
    "between quotes": "> 髙橋 様\n\n髙橋です。蓋にひびが入っています①。\n\n"
    "> 写真を１枚お送りください。\n\n写真を送ります。\n",
    "thunderbird": f"{ANSWER}\n\nOn 2026/03/04 10:15, 青葉商店 wrote:\n{QUOTE}\n",
    "german": f"{ANSWER}\n\nAm 04.03.26 um 10:15 schrieb 青葉商店:\n{QUOTE}\n",
}

ENCODINGS = (
    ("iso-2022-jp", "7bit"), ("iso-2022-jp", "base64"), ("utf-8", "base64"), ("utf-8", "quoted-printable"),
    ("utf-8", "8bit"), ("shift_jis", "base64"), ("Shift_JIS", "8bit"), ("", "8bit"),
)  # fmt: skip
"""Character set and transfer encoding; mail programs write Windows' characters under the names of the standards."""

_REAL = {"iso-2022-jp": "iso2022_jp_ext", "shift_jis": "cp932", "": "utf-8"}


def encoded(text: str, charset: str, transfer: str) -> bytes:
    if charset.lower() == "iso-2022-jp":  # the standard's characters only: the others have no bytes in it
        text = text.replace("髙", "高").replace("①", "1")
    raw = text.replace("\n", "\r\n").encode(_REAL.get(charset.lower(), charset))
    if transfer == "base64":
        return base64.encodebytes(raw)
    return quopri.encodestring(raw) if transfer == "quoted-printable" else raw


@dataclass(frozen=True)
class Mail:
    """A mail to be written as bytes; a value of `headers` that is None leaves the header out."""

    text: str = ANSWER
    to: str = "support@shop.example"
    sender: str = "髙橋 花子 <hanako@example.jp>"
    charset: str = "utf-8"
    transfer: str = "base64"
    is_html: bool = False
    parameters: str = ""
    files: tuple[tuple[str, str, bytes], ...] = ()
    """Media type, name and bytes of attached files."""
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def render(self) -> bytes:
        subject = base64.b64encode("Re: 写真のお願い".encode()).decode()
        headers: dict[str, str | None] = {
            "From": self.sender,
            "To": self.to,
            "Subject": f"=?utf-8?B?{subject}?=",
            "Message-ID": "<reply-1@example.jp>",
            **self.headers,
            "MIME-Version": "1.0",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None).encode()
        if not self.files:
            return head + self._text_part()
        boundary = b"=_b"
        parts = [self._text_part(), *[_file_part(*each) for each in self.files]]
        body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
        return head + b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n' + body + b"--" + boundary + b"--\r\n"

    def _text_part(self) -> bytes:
        text = _as_html(self.text) if self.is_html else self.text
        charset = f"; charset={self.charset}" if self.charset else ""
        kind = f"text/{'html' if self.is_html else 'plain'}{charset}{self.parameters}"
        head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {self.transfer}\r\n\r\n"
        return head.encode() + encoded(text, self.charset, self.transfer)


def _as_html(text: str) -> str:
    """A part in HTML as mail programs write it: a division per line, quotes in `blockquote`."""
    lines: list[str] = []
    for line in text.split("\n"):
        content = html.escape(line.removeprefix("> ")) or "<br>"
        lines.append(f"<blockquote>{content}</blockquote>" if line.startswith(">") else f"<div>{content}</div>")
    return "<html><head><style>p { color: red }</style></head><body>" + "".join(lines) + "</body></html>"


def _file_part(media_type: str, name: str, content: bytes) -> bytes:
    head = (
        f'Content-Type: {media_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    return head.encode() + base64.encodebytes(content)
