"""The story, chapter by chapter. Every step is a command that a person could type; the demo only types faster.

1. Maria labels pictures and takes Plymouth Rocks for Buff Orpingtons; a model learns it.
2. The model is published; a device and a simulated fleet are delivered with it. The device's gateway sends what it
   sees to the centre.
3. In the label page she notices; she corrects her labels, and a better model is trained, evaluated and rolled out.
4. A bad model follows. The gate refuses it; rolled out all the same, the fleet's gates stop it and it is taken back.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

from roost_broker.centre.layout import CentreLayout
from roost_broker.errors import RoostError
from roost_broker.messages import Score
from roost_broker.mosquitto import PrivateBroker
from roost_broker.private_process import free_port
from roost_edge.demo_loop import site
from roost_edge.demo_loop.commands import Commands, Say, Server
from roost_edge.demo_loop.options import Options
from roost_edge.demo_loop.summary import Chapter, Returned, Story, judge
from roost_henhouse.truth import LABELS
from roost_models.archive.cases import CaseSource, open_cases
from roost_models.assessment.report import parse as read_report
from roost_models.bundle.opening import open_bundle

_INTERVAL_MS = 350
_LOOKED_AT = 6 * len(LABELS)
_PATIENCE_S = 240.0
_COLUMNS = ("--picture-column", "picture", "--label-column", "label", "--site-column", "site", "--time-column", "taken")
_QUICK = ("--policy", "policy.toml", "--requests-per-day", "400000")
"""A story, not a fleet: large effects, short steps. What a real one needs, `roost rollout plan` computes."""


class Loop:
    """Construct, then `play`. Everything lies below `folder`."""

    def __init__(self, options: Options, folder: Path, henhouse: Path, say: Say) -> None:
        self._options = options
        self._folder = folder
        self._henhouse = henhouse
        self._say = say
        self._do = Commands(folder, say, {"ROOST_CENTRE": "centre"})
        self._centre = CentreLayout(folder / "centre")
        self._broker = PrivateBroker(folder / "broker")
        self._chapters: list[Chapter] = []
        self._training: dict[str, float] = {}
        self._accuracy: dict[str, float] = {}
        self._agreement: dict[str, float] = {}
        self._device: Server | None = None

    def play(self) -> Story:
        """The whole of it. Raises `RoostError` when a step failed."""
        try:
            return self._play()
        finally:
            self._do.stop()
            self._broker.stop()

    def _play(self) -> Story:
        with self._chapter("A model learns a mistake"):
            imported = self._learn_the_mistake()
        with self._chapter("Centre and registry"):
            registry = self._open_the_centre()
        with self._chapter("A device and a fleet"):
            truth = self._start_the_fleet(registry)
            before = self._wait_for_answers(truth, "1.0.0")
        with self._chapter("Somebody looks"):
            by_key = self._look(truth)
            imported += self._correct_the_list()
        with self._chapter("A better model"):
            self._train("1.1.0", "plymouth rocks are no buff orpingtons")
            self._evaluate("1.1.0", against="1.0.0")
            self._do.run("registry", "publish", self._bundle("1.1.0"), "--why", "knows Plymouth Rocks")
        with self._chapter("Its roll-out"):
            good = self._roll_out("1.1.0", "corrected labels", agreement=self._agreement["1.1.0"], expect=0)
            after = self._wait_for_answers(truth, "1.1.0")
        with self._chapter("A bad model"):
            refused = self._make_a_bad_model()
            bad = self._roll_out("1.2.0", "against the gate's advice", agreement=0.95, expect=1)
            self._wait_for_return("1.1.0")
        with self._chapter("What is at the centre"):
            requests, missing, frames = self._compare_archives()
            self._do.run("fleet", "status", "--node", f"{site.NODE},sim-1")
        story = Story(
            devices=self._options.devices,
            requests=requests,
            missing_at_centre=missing,
            frames_at_centre=frames,
            labels_by_key=by_key,
            labels_imported=imported,
            training_s=self._training,
            accuracy=self._accuracy,
            wrong_before=before,
            wrong_after=after,
            good=good,
            bad=bad,
            refused_by_gate=refused,
            commands=self._do.count,
            chapters=self._chapters,
            problems=[],
        )
        return Story(**{name: getattr(story, name) for name in story.__struct_fields__} | {"problems": judge(story)})

    # What happens in the chapters

    def _learn_the_mistake(self) -> int:
        count = site.write_training_pictures(self._folder / "pictures", self._options.per_class, self._options.seed)
        self._say(
            f"Rendered {count} pictures of {len(LABELS)} labels. Maria labels them, and takes one breed for another."
        )
        first = site.write_labels(self._folder / "pictures", "labels", site.MISTAKE)
        self._import(first, "first look")
        self._train("1.0.0", "the first")
        return count

    def _open_the_centre(self) -> str:
        port = free_port()
        self._centre.data.mkdir(exist_ok=True)
        self._nats = f"nats://127.0.0.1:{port}"
        self._centre.settings.write_text(f"# Written by the demo.\n[server]\nport = {port}\n", encoding="utf-8")
        centre = self._do.serve("centre", "centre", "up")
        self._do.until(
            lambda: "Archiving" in centre.log.read_text(), what="the centre", timeout_s=_PATIENCE_S, server=centre
        )
        self._do.run("registry", "init", "--root-keys", "stick", "--task", site.TASK, "--targets-online")
        shutil.copyfile(self._centre.registry / "public" / "metadata" / "1.root.json", self._folder / "root.json")
        why = "the first of its line: there is nothing to compare with"
        self._do.run("registry", "publish", self._bundle("1.0.0"), "--without-evaluation", why)
        served = self._do.serve("registry", "registry", "serve", "--port", "0")
        return self._do.until(
            lambda: next((line for line in served.log.read_text().split() if line.startswith("http://")), ""),
            what="the registry's web server",
            server=served,
        )

    def _start_the_fleet(self, registry: str) -> dict[str, str]:
        """Returns what the device's frames truly show, by SHA-256 of the frame as it was sent."""
        self._shown = site.write_camera_pictures(self._folder / "camera", 6, self._options.seed + 1)
        self._broker.start()
        (self._folder / "schedule.toml").write_text(site.SCHEDULE, encoding="utf-8")
        canary = self._henhouse / "bundles" / "canary"
        text = site.settings_text(
            port=self._broker.port,
            nats=self._nats,
            registry=registry,
            bundle=Path(self._bundle("1.0.0")),
            canary=canary,
            interval_ms=_INTERVAL_MS,
        )
        (self._folder / "policy.toml").write_text(site.POLICY, encoding="utf-8")
        (self._folder / "roost.toml").write_text(text, encoding="utf-8")
        self._do.run("config", "check", "roost.toml")
        self._device = self._do.serve("device", "up")
        self._do.serve(
            "fleet",
            *("fleet", "simulate", "--devices", str(self._options.devices)),
            *("--registry", registry, "--root", "root.json", "--broker", f"127.0.0.1:{self._broker.port}"),
            *("--bundle", self._bundle("1.0.0"), "--canary", str(canary), "--pictures", "camera", "--poll", "1"),
        )
        look = f"mosquitto_sub -p {self._broker.port} -t 'roost/+/ota' -v"
        self._say(f"Look in from another terminal: {look}")
        return {}

    def _look(self, truth: dict[str, str]) -> int:
        self._wait_for_cases(_LOOKED_AT)
        truth |= self._frames_shown()
        self._do.run("label", "queue", "--task", site.TASK, "--most", "8")
        if not self._options.browser:
            self._say("(no browser: the label page is left out)")
            return 0
        from roost_edge.demo_loop.person import label_in_browser

        named = [word for label in LABELS for word in ("--label", label)]
        page = self._do.serve("label", "label", "serve", "--task", site.TASK, "--port", "0", "--near", "0", *named)
        url = self._do.until(
            lambda: next((word for word in page.log.read_text().split() if word.startswith("http://")), ""),
            what="the label page",
            server=page,
        )
        shot = self._folder / "label-page.png"
        count = label_in_browser(self._folder, url, truth, author="maria", most=_LOOKED_AT, screenshot=shot)
        self._say(f"Maria has judged {count} pictures by keyboard ({shot.name} shows the page).")
        return count

    def _correct_the_list(self) -> int:
        right = site.write_labels(self._folder / "pictures", "corrected", {})
        self._import(right, "Plymouth Rocks were called Buff Orpingtons")
        return self._options.per_class

    def _make_a_bad_model(self) -> bool:
        """Somebody sorts the labels wrongly; the bundle is well-formed, signed, quick, and wrong."""
        turned = dict(zip(LABELS, (*LABELS[1:], LABELS[0]), strict=True))
        self._import(site.write_labels(self._folder / "pictures", "turned", turned), "sorted by mistake")
        self._train("1.2.0", "sorted anew")
        self._import(self._folder / "pictures" / "corrected.csv", "undo the sorting")
        accepted = self._evaluate("1.2.0", against="1.1.0", expect=(0, 1))
        why = "the demo wants to see the fleet's own gates"
        self._do.run("registry", "publish", self._bundle("1.2.0"), "--without-evaluation", why)
        return not accepted

    # Steps that several chapters take

    def _import(self, table: Path, why: str) -> None:
        words = ("--task", site.TASK, "--author", "maria", "--why", why, *_COLUMNS)
        self._do.run("label", "import", str(table.relative_to(self._folder)), *words)

    def _train(self, version: str, why: str) -> None:
        labels = ",".join(LABELS)
        held_out = ("--test-site", site.NODE)  # what the device sees is the exam, not the lesson
        words = ("--task", site.TASK, "--labels", labels, *held_out, "--why", why)
        self._do.run("dataset", "make", site.LINE, *words)
        began = time.monotonic()
        self._do.run("train", site.LINE, "--task", site.TASK, "--name", site.LINE, "--version", version)
        self._training[version] = round(time.monotonic() - began, 2)

    def _evaluate(self, version: str, *, against: str, expect: tuple[int, ...] = (0,)) -> bool:
        self._wait_for_cases(2 * _LOOKED_AT)  # every picture twice: what the gate wants, and some to spare
        words = (self._bundle(version), "--against", self._bundle(against), "--task", site.TASK)
        (self._folder / "gate.toml").write_text(site.GATE, encoding="utf-8")
        self._do.run("evaluate", *words, "--gate", "gate.toml", expect=expect)
        digest = open_bundle(self._folder / self._bundle(version)).digest
        report = read_report((self._centre.reports / f"{digest}.json").read_bytes())
        if report.agreement is not None:
            self._agreement[version] = report.agreement.same_label / report.agreement.compared
        if report.labelled is not None:
            found = report.labelled.overall
            self._accuracy[version] = found.candidate.share
            if found.champion is not None:
                self._accuracy.setdefault(against, found.champion.share)
        return report.accepted

    def _roll_out(self, version: str, why: str, *, agreement: float, expect: int) -> Returned:
        """`agreement` is what whoever rolls it out expects; a long evaluation would say so by itself."""
        began = time.monotonic()
        expected = ("--agreement", f"{agreement:.2f}")
        self._do.run("rollout", "start", site.LINE, version, "--why", why, *expected, *_QUICK)
        self._do.run("rollout", "watch", expect=(expect,))
        facts = self._do.data("rollout", "status")
        ended = "complete" if facts["state"] == "complete" else "aborted"
        devices = self._options.devices + 1
        seconds = round(time.monotonic() - began, 1)
        served = int(facts["everServed"])
        return Returned(
            version=version, ended=ended, why=facts["reason"], seconds=seconds, devices=devices, served=served
        )

    def _bundle(self, version: str) -> str:
        return str((self._centre.bundles / site.LINE / version).relative_to(self._folder))

    # What the device and the centre have

    @contextmanager
    def _archive(self) -> Iterator[CaseSource]:
        source = open_cases(self._folder / "device" / "archive" / site.TASK)
        try:
            yield source
        finally:
            source.close()

    def _frames_shown(self) -> dict[str, str]:
        with self._archive() as source:
            return {
                case.request.input.frame.sha256: self._shown[case.request.tags["name"]]
                for case in source.cases(task=site.TASK)
                if case.request.input.frame is not None
            }

    def _wait_for_answers(self, truth: dict[str, str], version: str) -> float:
        """Mean score as Buff Orpington that this version gave Plymouth Rocks, when every picture was seen by it."""

        def scores() -> list[float]:
            found = []
            with self._archive() as source:
                for case in source.cases(task=site.TASK):
                    if self._shown.get(case.request.tags.get("name", "")) != "plymouth_rock":
                        continue
                    for said in case.replies:
                        if isinstance(said, Score) and said.version == version and said.model.startswith(site.MODEL):
                            found += [one.score for one in said.outputs if one.label == "buff_orpington"]
            return found if len(found) >= 3 else []

        def seen() -> list[float]:
            try:
                return scores()
            except RoostError:  # the archive is not there yet
                return []

        found = self._do.until(
            seen, what=f"answers of {site.LINE} {version}", timeout_s=_PATIENCE_S, server=self._device
        )
        said = Counter(f"{score:.2f}" for score in found)
        self._say(
            f"{version} gives Plymouth Rocks a mean score of {fmean(found):.3f} as Buff Orpingtons "
            f"({len(found)} answers: {', '.join(f'{score} ×{count}' for score, count in said.most_common(5))})."
        )
        return round(fmean(found), 4)

    def _wait_for_return(self, version: str) -> None:
        def back() -> bool:
            devices = self._do.data("fleet", "status")["devices"]
            lines = [line for device in devices for line in device["lines"]]
            return bool(lines) and all(line["active"] == version for line in lines)

        self._do.until(back, what=f"every device to be back at {version}", timeout_s=_PATIENCE_S)

    def _wait_for_cases(self, count: int) -> None:
        def there() -> bool:
            return self._asked(self._centre.archive) >= count

        self._do.until(there, what=f"{count} requests at the centre", timeout_s=_PATIENCE_S)

    def _asked(self, archive: Path) -> int:
        source = open_cases(archive)
        try:
            return sum(1 for _ in source.cases(task=site.TASK, nodes=frozenset({site.NODE})))
        finally:
            source.close()

    def _compare_archives(self) -> tuple[int, int, int]:
        """Stop the camera's device, let the gateway empty its outbox, and compare request by request."""

        def ids(archive: Path) -> set[str]:
            source = open_cases(archive)
            try:
                return {case.request_id for case in source.cases(task=site.TASK, nodes=frozenset({site.NODE}))}
            finally:
                source.close()

        device = self._folder / "device" / "archive" / site.TASK
        known = ids(device)
        end = time.monotonic() + 30
        while (missing := known - ids(self._centre.archive)) and time.monotonic() < end:
            time.sleep(0.5)
        self._do.run("centre", "status")
        self._do.run("lifecycle", "show")
        frames = sum(1 for _ in self._centre.frames.rglob("*.jpg"))
        return len(known), len(missing), frames

    @contextmanager
    def _chapter(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        self._say(f"\n── {len(self._chapters) + 1}. {title} " + "─" * max(0, 70 - len(title)))
        yield
        self._chapters.append(Chapter(title=title, seconds=round(time.monotonic() - began, 1)))
