"""A corpus of bad bundles through the whole agent: each has its own reason, and none comes near an answer."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from ota_world import SAYS, OtaWorld, Watcher

from roost_broker.mosquitto import PrivateBroker
from roost_models.registry.layout import file_path
from roost_models.registry.writer import Registry
from roost_models.rollout.document import BundleRef

pytestmark = [pytest.mark.broker, pytest.mark.processes]
GOOD = SAYS.format(label="new")
Offer = Callable[[OtaWorld, str], object]


class Thief(Registry):
    """Somebody who has the keys of the roll-outs, and signs what the centre's own command would refuse."""

    def _check_published(self, task: str, wanted: BundleRef) -> None:
        pass


def with_source(source: str) -> Offer:
    return lambda world, version: world.publish(version, source)


def with_fields(**fields: Any) -> Offer:
    return lambda world, version: world.publish(version, f"# {version}\n{GOOD}", label="new", **fields)


def spoiled(spoil: Callable[[Path], object]) -> Offer:
    """The registry serves something else than was signed."""

    def offer(world: OtaWorld, version: str) -> None:
        bundle = world.publish(version, f"# {version}\n{GOOD}", label="new")
        path = file_path(bundle.manifest.files["model.py"].sha256)
        spoil(next(world.registry.public.rglob(Path(path).name)))

    return offer


def another_digest(world: OtaWorld, version: str) -> None:
    """The document and the manifest are both signed, and speak of different bundles."""
    bundle = world.publish(version, GOOD, label="new")
    world.bundles[version] = dataclasses.replace(bundle, digest="0" * 64)


def never_published(world: OtaWorld, version: str) -> None:
    world.bundles[version] = dataclasses.replace(
        world.old, manifest=structs.replace(world.old.manifest, version=version), digest="1" * 64
    )


CORPUS: dict[str, tuple[Offer, str]] = {
    "another digest than the signed document says": (another_digest, "has the digest .* is wanted.*altered"),
    "a version that nobody signed": (never_published, "not-published"),
    "a file that was changed at the mirror": (
        spoiled(lambda path: path.write_bytes(path.read_bytes()[::-1])),
        "another content than the bundle's manifest says.*altered",
    ),
    "a file that is cut short": (spoiled(lambda path: path.write_bytes(path.read_bytes()[:-1])), "ended after"),
    "a file that is not there": (spoiled(Path.unlink), "does not have file"),
    "more bytes than this device takes": (
        with_source(GOOD + "# " + "x" * 200_000 + "\n"),
        "bytes; 100000 are allowed",
    ),
    "another Python": (with_fields(runtime={"python": ">=4"}), "needs Python >=4"),
    "a package that is not here": (with_fields(runtime={"packages": {"numpy": ">=99"}}), "needs numpy>=99"),
    "wrong goldens": (lambda world, version: world.publish(version, GOOD, label="bad"), "goldens: "),
    "a model that raises": (with_source("def predict(image, context):\n    raise OSError('hens')\n"), "hens"),
    "a model that aborts": (with_source("import os\ndef predict(image, context):\n    os.abort()\n"), "SIGABRT"),
    "a model that takes the memory": (
        with_source("kept = bytearray(1 << 32)\ndef predict(image, context):\n    return {}\n"),
        "MemoryError",
    ),
    "a model that hangs": (
        with_source("def predict(image, context):\n    while True:\n        pass\n"),
        "did not finish its trial",
    ),
    "a model with labels of its own": (
        with_source('def predict(image, context):\n    return {"x": 1.0}\n'),
        "not one of its labels",
    ),
}


def test_every_bad_bundle_is_refused_with_a_reason_of_its_own_and_a_good_one_comes_after_them_all(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings: dict[str, Any] = {"trial.tries": 1, "trial.timeout_s": 8, "limits.bundle_bytes": 100_000}
    world = OtaWorld(tmp_path, own_mosquitto, **settings)
    world.registry = Thief(tmp_path / "registry")

    async def main() -> dict[str, str]:
        told: dict[str, str] = {}
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            for number, (name, (offer, _)) in enumerate(CORPUS.items(), start=2):
                version = f"{number}.0.0"
                offer(world, version)
                world.roll_out(version, "serving", rollout=f"r{number}")
                await world.command(do="check")
                line = await watcher.of_rollout(f"r{number}", "failed")
                told[name] = line.problem
                assert [slot.slot for slot in line.slots] == ["a"], name
                assert watcher.ask()
            assert {result.answer.label for result in await watcher.answered() if result.answer} == {"old"}
            assert "model-nest-champion-b" not in {role.name for role in supervisor.roles}
            assert supervisor.restarts("model-nest-champion") == 0
            world.publish("99.0.0", GOOD, label="new")
            world.roll_out("99.0.0", "serving", rollout="good")
            await world.command(do="check")
            await watcher.of_rollout("good", "serving")
            watcher.assert_each_answered_once_in_time()
        return told

    told = run(main(), timeout=150)
    assert {name: problem for name, problem in told.items() if not re.search(CORPUS[name][1], problem)} == {}
    assert len(set(told.values())) == len(CORPUS)
