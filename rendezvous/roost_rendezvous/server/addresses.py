"""Where a result may go. An address in a request is somebody else's word: it is parsed, not trusted."""

from functools import lru_cache

from roost_broker.errors import Misuse, PeerError
from roost_broker.topics import check_name

_MAX_LENGTH = 500
_RETURN_LEVELS = frozenset({"results", "response"})


class AddressRefused(PeerError):
    """A return address or response topic to which nothing is published."""


@lru_cache(maxsize=256)  # the same few come with every request
def check_address(base: str, address: str) -> str:
    """Return `address` when a result may be published there, else raise `AddressRefused`.

    Allowed is `<base>/…/results/<requester>` and `<base>/…/response/<requester>`, plain names at every level. So no
    request can make the rendezvous write onto the input, the scores, a retained state, or anybody else's topics.
    """
    remedy = f"Use {base}/<node>/<task>/results/<requester>."
    if len(address) > _MAX_LENGTH:
        raise AddressRefused(f"A return address of {len(address)} characters is too long.", remedy)
    if not address.startswith(base + "/"):
        raise AddressRefused(f"The return address {address[:200]!r} is not below {base}/.", remedy)
    levels = address[len(base) + 1 :].split("/")
    if len(levels) < 3 or levels[-2] not in _RETURN_LEVELS:
        raise AddressRefused(f"The return address {address[:200]!r} is not one of results.", remedy)
    for level in levels:
        try:
            check_name("level of a return address", level)
        except Misuse as error:
            raise AddressRefused(
                f"The return address {address[:200]!r} has an odd level {level[:80]!r}.", remedy
            ) from error
    return address
