"""Requests to a Placement server as its administrator."""

import httpx

LATEST = '1.39'


class UnexpectedStatus(AssertionError):
    """A request that had to succeed did not."""


class Api:
    """A client that keeps its connection; not to be shared by threads."""

    def __init__(self, url):
        # trust_env=False: no proxy may come between the tests and the server.
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False, headers={
            'x-auth-token': 'admin', 'accept': 'application/json'})

    def send(self, method, path, body=None, version=LATEST):
        return self.client.request(method, path, json=body, headers={
            'openstack-api-version': f'placement {version}'})

    def __call__(self, method, path, body=None, version=LATEST):
        """Send a request which must succeed; returns its JSON, if any."""
        response = self.send(method, path, body, version)
        if not response.is_success:
            raise UnexpectedStatus(
                f'{method} {path} at {version} with {body}: '
                f'{response.status_code} {response.text}')
        return response.json() if response.content else None
