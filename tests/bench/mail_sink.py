"""A mail server that accepts and discards everything, as a process of its own.

    python -m tests.bench.mail_sink <port>

A minimum of RFC 5321: a complete server would use more CPU than the sender under test.
"""

import asyncio
import sys

from deploy.local.ports import LOOPBACK

OK = b"250 OK\r\n"


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 sink\r\n")
    while command := await reader.readline():
        match command[:4].upper():
            case b"EHLO":
                writer.write(b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            case b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(OK)
            case b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            case _:
                writer.write(OK)
    writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(talk, LOOPBACK, port, limit=2**20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
