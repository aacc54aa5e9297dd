"""Pictures that came by HTTP, in the device's frame store and within a budget of their own.

Whoever stores a frame deletes it: cameras know only theirs. What the proxy stored is marked by a second name (a hard
link) in a folder of its own, so that it is known after a restart; a frame that was there before is somebody else's
and never marked. The oldest go first, and none that a waiting request speaks of.
"""

from collections import Counter, OrderedDict

from roost_broker.errors import QueueFull
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_broker.private_data import cleaned
from roost_rendezvous.proxy.pictures import Picture


class Shelf:
    """Not safe for several threads: one worker calls it. `own` is the folder of marks, on the same file system."""

    def __init__(self, frames: FrameStore, own: FrameStore, *, budget_bytes: int) -> None:
        self._frames = frames
        self._own = own
        self._budget = budget_bytes
        self._used: Counter[str] = Counter()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # oldest first

    @property
    def stored_bytes(self) -> int:
        """How much of it the proxy stored."""
        return sum(self._sizes.values())

    def load(self) -> None:
        """Look for what an earlier process left."""
        found = [(stat.st_mtime_ns, path.stem, stat.st_size) for path in self._own for stat in (path.stat(),)]
        self._sizes = OrderedDict((sha256, size) for _, sha256, size in sorted(found))

    def put(self, data: bytes, picture: Picture) -> FrameRef:
        """Store a picture until `release`, and for late models as long as there is room. Raises `QueueFull`."""
        data = cleaned(data) or data  # what a file tells beside its picture stays with whoever sent it
        self._make_room(len(data))
        # Stored below the own name first: a frame without a mark would stay for ever.
        ref = self._own.put(data, width=picture.width, height=picture.height, media_type=picture.media_type)
        try:
            ours = self._frames.adopt(ref, self._own) or ref.sha256 in self._sizes
        except BaseException:  # a mark that nobody counts would stay until the next start
            if ref.sha256 not in self._sizes:
                self._own.remove(ref.sha256)
            raise
        self._used[ref.sha256] += 1
        if ours:
            self._sizes[ref.sha256] = len(data)
            self._sizes.move_to_end(ref.sha256)
        else:
            self._own.remove(ref.sha256)
        return ref

    def release(self, ref: FrameRef) -> None:
        """Nobody waits for this picture's answer any more."""
        self._used[ref.sha256] -= 1
        if self._used[ref.sha256] <= 0:
            del self._used[ref.sha256]

    def _make_room(self, size: int) -> None:
        over = self.stored_bytes + size - self._budget
        free = [sha256 for sha256 in self._sizes if sha256 not in self._used] if over > 0 else []
        for sha256 in free:
            if over <= 0:
                break
            over -= self._sizes.pop(sha256)
            self._frames.remove(sha256)
            self._own.remove(sha256)
        if over > 0:
            raise QueueFull("The pictures of waiting requests fill the proxy's budget.", "Ask again in a while.")
