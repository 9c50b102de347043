"""Certificates for database servers: an authority, a server's certificate, and an authority that signed nothing."""

import pathlib
import subprocess


class Keys:
    """The files."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority = self.directory / 'authority.pem'
        self.stranger = self.directory / 'stranger.pem'
        self.certificate = self.directory / 'server.pem'
        self.key = self.directory / 'server.key'


def openssl(*arguments):
    subprocess.run(['openssl', *map(str, arguments)], check=True, capture_output=True)


def make(directory):
    """Make them; the server's certificate is for the name localhost, and not for its address."""
    keys = Keys(directory)
    for authority in (keys.authority, keys.stranger):
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', f'/CN={authority.stem}',
                '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', authority.with_suffix('.key'),
                '-out', authority)
    request, extensions = directory / 'request.pem', directory / 'extensions'
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', keys.key, '-out', request)
    extensions.write_text('subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n')
    openssl('x509', '-req', '-in', request, '-days', '2', '-CA', keys.authority,
            '-CAkey', keys.authority.with_suffix('.key'), '-CAcreateserial', '-extfile', extensions,
            '-out', keys.certificate)
    return keys
