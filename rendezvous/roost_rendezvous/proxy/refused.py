"""A request that will not be asked: the HTTP status, what is wrong with it, and what to do instead."""

from roost_broker.errors import PeerError


class Refused(PeerError):
    """`status` is 400 to 499, or 503. Its problem and remedy are the body of the answer."""

    def __init__(self, status: int, problem: str, remedy: str = "", *, allow: str = "") -> None:
        super().__init__(problem, remedy)
        self.status = status
        self.allow = allow
        """Methods that the address knows, for 405."""
