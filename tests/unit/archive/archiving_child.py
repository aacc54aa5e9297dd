"""Archives requests until it is killed, and says on stdout which are safe. Started by test_archive_kill."""

import hashlib
import sys
from pathlib import Path

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Output, Request, Score, encode
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive, Item


def main(folder: Path, first: int) -> None:
    source = FrameStore(folder / "capture")
    archive = Archive(folder / "archive", settings=ArchiveSettings(budget_mb=0.02, low_water=0.8))
    while True:
        items = []
        for number in range(first, first + 5):
            ref = source.put(hashlib.sha256(b"%d" % number).digest() * 30, width=8, height=8)
            request = Request(
                timestamp=number,
                message_id=new_id(number, b"m" * 10),
                request_id=f"{number:032x}",
                return_address="r",
                deadline_ms=1,
                issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
                input=Input(frame=ref),
            )
            score = Score(
                timestamp=number,
                message_id=f"{number:032x}",
                request_id=request.request_id,
                model="champion",
                version="1",
                outputs=[Output(label="hen", score=number / 7)],
            )
            items += [Item(encode(m), m, "nest", number) for m in (request, score)]
        archive.write(items, source)
        archive.enforce_budget(number)
        print(number, flush=True)
        first += 5


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
