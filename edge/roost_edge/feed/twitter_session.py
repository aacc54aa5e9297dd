"""The HTTP session that tweepy is given: elsewhere, if the settings say so, and with an end to its patience.

tweepy knows its hosts by heart and its v2 client waits for ever; both clients send through a public `session`. The
address is exchanged before the request is prepared, so OAuth signs the address that is really asked.
"""

from typing import Any

import requests

ORIGINS = ("https://api.twitter.com", "https://upload.twitter.com")


class DirectedSession(requests.Session):
    """See the module. `base_url` empty: the service itself."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s

    def request(self, method: str, url: str | bytes, *rest: Any, **options: Any) -> requests.Response:
        """As `requests` does; never along a redirection, which would carry a signed post elsewhere."""
        options |= {"timeout": self._timeout_s, "allow_redirects": False}
        return super().request(method, self.directed(str(url)), *rest, **options)

    def directed(self, url: str) -> str:
        """The address that is asked in place of this one."""
        if not self._base_url:
            return url
        for origin in ORIGINS:
            if url.startswith(f"{origin}/"):
                return self._base_url + url.removeprefix(origin)
        return url
