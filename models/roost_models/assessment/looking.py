"""One picture for two models: read once, decoded once, and prepared once where their input contracts are the same.

The models still go through the scaffold's own `Evaluator`; this only remembers the last step that both share.
"""

from collections.abc import Sequence
from pathlib import Path

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Output
from roost_models.bundle.manifest import ImageContract, Manifest
from roost_models.inference import images
from roost_models.inference.predictor import ModelInput, Pixels, Predictor


class SharedPicture(FrameStore):
    """The last picture: its bytes, its pixels, and these as each contract wants them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._sha256 = ""
        self._data = b""
        self._decoded: tuple[bytes, Pixels] | None = None
        self._prepared: dict[ImageContract, Pixels] = {}
        self._carried: tuple[str, bytes | None, str] | None = None

    def carry(self, sha256: str, data: bytes | None, why_not: str) -> None:
        """The next question's picture, where it does not lie in a folder here."""
        self._carried = (sha256, data, why_not)

    def read(self, ref: FrameRef) -> bytes:
        """See `FrameStore`."""
        if ref.sha256 != self._sha256:
            self._data = self._fetch(ref)
            self._sha256 = ref.sha256
        return self._data

    def _fetch(self, ref: FrameRef) -> bytes:
        if self._carried is None or self._carried[0] != ref.sha256:
            return super().read(ref)
        _, data, why_not = self._carried
        if data is None:
            raise FrameUnavailable(why_not, f"Frame {ref.sha256[:12]}… is {why_not}.")
        return data

    def decode(self, data: bytes) -> Pixels:
        """See `images.decode`; the pixels may not be written to."""
        if self._decoded is None or self._decoded[0] != data:
            rgb = images.decode(data)
            rgb.flags.writeable = False
            self._decoded = (data, rgb)
            self._prepared.clear()
        return self._decoded[1]

    def prepared(self, rgb: Pixels, predictor: Predictor, contract: ImageContract) -> Pixels | None:
        """What `predictor` makes of the pixels; taken over from the other model if its contract is the same."""
        if self._decoded is None or rgb is not self._decoded[1]:
            return predictor.preprocess(rgb)
        found = self._prepared.get(contract)
        if found is None:
            made = predictor.preprocess(rgb)
            if made is None:
                return None
            found = self._prepared[contract] = made
        return found


class Looking:
    """A predictor that shares pictures with another one (see `Predictor`)."""

    def __init__(self, predictor: Predictor, manifest: Manifest, pictures: SharedPicture) -> None:
        self._predictor = predictor
        self._contract = manifest.input
        # A Python model may write into the picture it is given.
        self._own_copy = manifest.engine == "python"
        self._pictures = pictures

    @property
    def labels(self) -> list[str]:
        """See `Predictor`."""
        return self._predictor.labels

    @property
    def runtime(self) -> str:
        """See `Predictor`."""
        return self._predictor.runtime

    @property
    def takes_pictures(self) -> bool:
        """See `Predictor`."""
        return self._predictor.takes_pictures

    def preprocess(self, rgb: Pixels) -> Pixels | None:
        """See `Predictor`."""
        if self._contract is None:
            return self._predictor.preprocess(rgb)
        found = self._pictures.prepared(rgb, self._predictor, self._contract)
        return found.copy() if found is not None and self._own_copy else found

    def predict(self, inputs: Sequence[ModelInput]) -> list[list[Output]]:
        """See `Predictor`."""
        return self._predictor.predict(inputs)
