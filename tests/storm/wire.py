"""HTTP requests of one client at a time, on connections of its own, as cheap as asyncio has them."""

import asyncio
import json
import typing


class Unsent(Exception):
    """No connection: the server has not seen the request."""


class Unanswered(Exception):
    """The connection ended or the client hung up before the answer was complete."""


class Answer(typing.NamedTuple):
    status: int
    headers: dict
    body: typing.Any


class Wire:
    """A client's connection to one server, made anew when it has ended."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def connect(self):
        if self.writer is not None and not self.reader.at_eof() and self.reader.exception() is None:
            return
        self.close()
        try:
            self.reader, self.writer = await asyncio.open_connection('127.0.0.1', self.port, limit=2**20)
        except OSError as error:
            raise Unsent from error

    async def ask(self, method, path, body, headers, patience):
        """Sends a request, and hangs up after `patience` seconds without an answer."""
        payload = b'' if body is None else json.dumps(body).encode()
        lines = [f'{method} {path} HTTP/1.1', 'host: placement', *(f'{name}: {text}' for name, text in headers.items())]
        if payload:
            lines += ['content-type: application/json', f'content-length: {len(payload)}']
        await self.connect()
        try:
            async with asyncio.timeout(patience):
                self.writer.write('\r\n'.join([*lines, '', '']).encode() + payload)
                await self.writer.drain()
                return await self.read()
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Unanswered from error
        except asyncio.CancelledError:
            self.close()
            raise

    async def read(self):
        head = await self.reader.readuntil(b'\r\n\r\n')
        first, *lines = head.decode('latin-1').split('\r\n')
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(':') for line in lines if line)}
        length = int(headers.get('content-length', 0))
        body = await self.reader.readexactly(length) if length else b''
        if headers.get('connection', '').lower() == 'close':
            self.close()
        return Answer(int(first.split()[1]), headers, json.loads(body) if body else None)
