"""The one timer of each open mailbox, in a heap. Pure: time is an argument."""

import heapq

from roost_rendezvous.mailbox.box import Box

NEVER = 2**63 - 1
"""A time that does not come."""


class Timers:
    """Arming a mailbox anew leaves its old timer behind; those are skipped, and swept out when they are many."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Box]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, box: Box, when: int, open_boxes: int) -> None:
        """Wake for this mailbox at `when`, and not at the time said before. At most O(`open_boxes`) are kept."""
        box.armed_ns = when
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, box))
        if len(self._heap) > 1024 + 3 * open_boxes:
            self._heap[:] = [timer for timer in self._heap if timer[2].armed_ns == timer[0]]
            heapq.heapify(self._heap)

    def due(self, now: int) -> Box | None:
        """A mailbox whose time has come, disarmed; None when there is none left."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, _, box = heapq.heappop(heap)
            if box.armed_ns == when:
                box.armed_ns = -1
                return box
        return None

    def deadline(self) -> int:
        """When the next mailbox is due; `NEVER` when none is."""
        heap = self._heap
        while heap and heap[0][2].armed_ns != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER
