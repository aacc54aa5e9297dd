"""What lies where below the centre's folder; every command asks here, so that all agree."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CentreLayout:
    """`data` is the centre's folder."""

    data: Path

    @property
    def settings(self) -> Path:
        """Settings of the centre (TOML)."""
        return self.data / "centre.toml"

    def nats(self, server: str) -> Path:
        """Store and configuration of one NATS server."""
        return self.data / "nats" / server

    @property
    def archive(self) -> Path:
        """Messages by task and day (Parquet), and what is not closed yet."""
        return self.data / "archive"

    @property
    def frames(self) -> Path:
        """Every frame once, by content; archive, labels and datasets refer to it."""
        return self.data / "archive" / "frames"

    @property
    def labels(self) -> Path:
        """The label store (SQLite)."""
        return self.data / "labels.db"

    def datasets(self, name: str) -> Path:
        """All versions of one dataset: `1.json`, `2.json` …"""
        return self.data / "datasets" / name

    @property
    def bundles(self) -> Path:
        """Bundles that were trained here."""
        return self.data / "bundles"

    @property
    def features(self) -> Path:
        """What backbones made of pictures: a cache, kept for the next training."""
        return self.data / "cache" / "features"

    @property
    def reports(self) -> Path:
        """Evaluation reports by digest of the candidate."""
        return self.data / "reports"

    @property
    def registry(self) -> Path:
        """The TUF repository; `public` below it is what a web server serves."""
        return self.data / "registry"

    @property
    def lifecycle(self) -> Path:
        """Which bundle is in which phase, and who moved it when and why."""
        return self.data / "lifecycle.jsonl"

    @property
    def rollouts(self) -> Path:
        """State of the roll-outs, one folder each."""
        return self.data / "rollouts"
