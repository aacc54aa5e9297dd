"""The first day of a device, step by step, with an image in an emulator.

1. The card: what config.txt names is there, for every board; a copy is made out with a one-time token.
2. First boot: the device makes its key, enrols, and announces itself; every role of its settings becomes ready.
3. It is asked for `doctor`; a rendered frame goes through the whole flow to a model's answer.
4. The power goes while requests and writes are going on. What is on the card then is sound, after the journal.
5. It boots again: the same device, not enrolled a second time, every role in a new session; what was asked before
   is answered; the token is refused to anybody else.
6. It is switched off in order, and its file systems are clean; a read-only root was not written to.

What an emulator cannot show: the firmware itself, a camera, Wi-Fi, a real card's own cache.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import structs

from roost_broker.private_process import free_port
from roost_edge.settings.device import Settings
from roost_provisioning.boot_test import device_settings, sealing
from roost_provisioning.boot_test.boot_files import BOARDS, PI_3B, boot_files
from roost_provisioning.boot_test.card_image import CardImage, copy_sparse, power_of_two, recover
from roost_provisioning.boot_test.emulator import Emulator
from roost_provisioning.boot_test.fleet_side import OPERATOR, FleetSide
from roost_provisioning.boot_test.image_source import image_of
from roost_provisioning.boot_test.machine import GATEWAY, Machine
from roost_provisioning.boot_test.options import Options
from roost_provisioning.boot_test.remains import Remains, look, look_at
from roost_provisioning.boot_test.report import Report
from roost_provisioning.boot_test.sealing import Root
from roost_provisioning.boot_test.telling import Say, Telling
from roost_provisioning.boot_test.visit import Visit
from roost_provisioning.image.ext4 import Ext4

_GB: Final = 1 << 30
_MB: Final = 1 << 20
_SLOW_UNITS: Final = "/etc/systemd/system/roost-.service.d/90-emulated.conf"
_SLOWLY: Final = b"# An emulated device needs minutes for what a Pi does in seconds.\n[Service]\nTimeoutStartSec=1h\n"
_SYSTEM, _LOGIN = "systemd[1]", "login:"

# Hang-guards for a shared machine, not expectations; `--patience` multiplies them.
_KERNEL_S: Final = 300.0
_LOGIN_S: Final = 600.0
_ENROLLED_S: Final = 900.0
_OFF_S: Final = 180.0
_LEAST_REQUESTS: Final = 2


class Story:
    """Construct, then `play`. Everything lies below `folder`; `report` is filled as it goes."""

    def __init__(self, options: Options, folder: Path, report: Report, say: Say) -> None:
        self._options = options
        self._folder = folder
        self._tell = Telling(report, say)

    def play(self) -> None:
        """The whole of it. Raises `RoostError` when a step failed and nothing can follow it."""
        with self._tell.step("The image") as found:
            image = CardImage(image_of(self._options, self._folder))
            self._tell.report.image = image.path.name
            self._tell.figure("image_mb", image.path.stat().st_size / _MB)
            self._check_boot_files(image)
            found(f"{image.path.name}, {image.path.stat().st_size // _MB} MB")
        if self._options.machine == "raspi3b":
            self._boot_a_pi(image)
        else:
            self._first_day(image)
        self._tell.report.done = True

    def _boot_a_pi(self, image: CardImage) -> None:
        """A Pi without network: as far as its login."""
        size = power_of_two(max(self._options.card_gb * _GB, image.path.stat().st_size))
        card = CardImage(copy_sparse(image.path, self._folder / "card.img", size))
        with self._emulator(Machine("raspi3b"), card) as pi:
            with self._tell.step("The emulated Pi 3 boots") as found:
                pi.switch_on()
                seconds = pi.until_said(_LOGIN, self._patient(_LOGIN_S))
                self._tell.figure("login_s", seconds)
                found(f"login after {seconds:.0f} s")
            pi.pull_the_plug()

    def _first_day(self, image: CardImage) -> None:
        with FleetSide(self._folder / "fleet", self._tell.say) as fleet:
            with self._tell.step("The authority and its desk") as found:
                found(fleet.begin(GATEWAY))
            with self._tell.step("A card for a new device") as found:
                card, settings = self._make_out(image, fleet)
                found(f"{self._options.card_gb} GB")
            port = free_port()
            forwards = ((port, settings.mosquitto.outside.port),)
            machine = Machine("virt", self._options.memory_mb, self._options.processors, forwards)
            with self._emulator(machine, card) as device:
                day = _Day(self._tell, self._options, fleet, device, settings, port)
                day.first_boot()
                before, root = self._after_the_cut()
                day.second_boot()
                with self._tell.step("The token is refused a second time"):
                    self._tell.expect(fleet.refuses_the_token(), "The enrolment desk took the token a second time.")
                self._switch_off(device, card, before, root)

    def _make_out(self, image: CardImage, fleet: FleetSide) -> tuple[CardImage, Settings]:
        size = max(self._options.card_gb * _GB, image.path.stat().st_size)
        card = CardImage(copy_sparse(image.path, self._folder / "card.img", size))
        written = card.boot.text(device_settings.SEEDED) or Ext4(card.path, card.linux[0]).text(device_settings.PLACE)
        text, changed = device_settings.rendered(written)
        if changed:
            self._tell.say(f"  rendered instead of a real camera: {', '.join(changed)}")
        text = device_settings.with_slow_desk(device_settings.with_operator(text, OPERATOR))
        if self._options.compact:
            text = device_settings.compacted(text)
        (self._folder / "roost.toml").write_text(text, encoding="utf-8")
        fleet.personalise(card.path, "--settings", self._folder / "roost.toml")
        card.add_file(card.linux[0], _SLOW_UNITS, _SLOWLY)
        return card, device_settings.read(text)

    def _after_the_cut(self) -> tuple[Remains, Root]:
        """What a boot will find, seen on a copy: the journal is replayed there, and nobody mends anything."""
        with self._tell.step("What is on the card then") as found:
            card = CardImage(self._folder / "card.img")
            copies = [card.taken_out(one, self._folder / f"after-the-cut-{one.number}") for one in card.linux]
            for partition, copy in zip(card.linux, copies, strict=True):
                wrong = recover(copy)
                self._tell.expect(not wrong, f"Partition {partition.number} after the cut: {wrong}")
            remains = look_at(copies[-1])
            root = sealing.look(Ext4(copies[0], structs.replace(card.linux[0], start=0)))
            for copy in copies:
                copy.unlink()
            self._check_remains(remains)
            accepted, still_open = len(remains.accepted), len(remains.open)
            found(f"{len(remains.stores)} stores, {accepted} requests accepted, {still_open} of them open")
        return remains, root

    def _switch_off(self, device: Emulator, card: CardImage, before: Remains, root: Root) -> None:
        with self._tell.step("It is switched off, and looked at") as found:
            self._tell.expect(device.switch_off(self._patient(_OFF_S)), "It did not switch off in order.")
            card = CardImage(card.path)
            for partition in card.linux:
                wrong = card.check(partition)
                self._tell.expect(not wrong, f"Partition {partition.number} is not clean: {wrong}")
            after = look(card)
            self._check_remains(after)
            same = after.identity == before.identity
            self._tell.expect(same, "The identity is not the one from before the cut.")
            unanswered = sorted(before.accepted & after.open)
            self._tell.expect(not unanswered, f"Accepted before the cut, and never answered: {unanswered}.")
            wrong = sealing.wrong(root, sealing.look(Ext4(card.path, card.linux[0])))
            self._tell.expect(not wrong, wrong)
            kept = "the root was not written to, " if root.sealed else ""
            found(f"{kept}{len(before.accepted)} requests from before the cut are archived and answered")

    def _check_boot_files(self, image: CardImage) -> None:
        config = image.read("config.txt").decode("utf-8", errors="replace")
        names = image.boot.names()
        for board in BOARDS:
            missing = boot_files(config, board).missing(names)
            self._tell.expect(not missing, f"A {board.name} would look in vain for {', '.join(missing)}.")

    def _check_remains(self, remains: Remains) -> None:
        self._tell.expect(bool(remains.stores), "There are no stores on the data partition.")
        for name, said in remains.damaged.items():
            self._tell.expect(False, f"The store {name} is damaged: {said}")
        self._tell.expect("device.key" in remains.identity, "The device has no key.")

    def _emulator(self, machine: Machine, card: CardImage) -> Emulator:
        config = card.read("config.txt").decode("utf-8", errors="replace")
        files = boot_files(config, PI_3B)
        emulator = Emulator(machine, card, files, self._folder, markers=(_SYSTEM, _LOGIN), say=self._tell.say)
        self._tell.report.machine = f"{machine.kind}, {machine.processors} processors, {machine.memory_mb} MB"
        self._tell.report.command_line_changes = list(emulator.words.changes)
        return emulator

    def _patient(self, seconds: float) -> float:
        return seconds * self._options.patience


class _Day:
    """The two boots of one device, as its operator sees them."""

    def __init__(
        self, tell: Telling, options: Options, fleet: FleetSide, device: Emulator, settings: Settings, port: int
    ) -> None:
        self._tell = tell
        self._options = options
        self._fleet = fleet
        self._device = device
        self._base = settings.broker.base
        self._wanted = device_settings.roles(settings)
        self._port = port
        self._node = ""
        self._sessions: Mapping[str, int] = {}

    def first_boot(self) -> None:
        """From a card that was written to a plug that is pulled."""
        with self._tell.step("First boot: it enrols") as found:
            self._switch_on()
            self._device.until(self._fleet.has_issued, "the device to enrol", _ENROLLED_S * self._options.patience)
            self._tell.figure("enrolled_s", self._device.uptime_s)
            names = self._fleet.enrolled()
            self._tell.expect(len(names) == 1, f"These have enrolled: {names}.")
            self._node = names[0]
            found(self._node)
        with self._visit() as visit:
            visit.until_ready(self._wanted)
            visit.look_at_its_certificate()
            visit.ask_the_doctor()
            visit.watch_an_answer("A rendered frame goes through the whole flow")
            self._tell.figure("memory_of_roles_mb", visit.link.heard.memory_bytes() / _MB)
            self._sessions = visit.sessions
            self._pull_the_plug(visit)

    def second_boot(self) -> None:
        """The same device, in new sessions."""
        with self._tell.step("It boots again") as found:
            found(f"{self._switch_on():.0f} s to systemd")
        with self._visit() as visit:
            visit.until_ready(self._wanted)
            who, _ = visit.link.peer()
            self._tell.expect(str(who) == f"device:{self._node}", f"After the cut the device is {who}.")
            names = self._fleet.enrolled()
            self._tell.expect(names == (self._node,), f"After the cut these have enrolled: {names}.")
            visit.watch_an_answer("A new frame goes through the flow")
            visit.ask_the_doctor()

    def _switch_on(self) -> float:
        self._device.switch_on()
        seconds = self._device.until_said(_SYSTEM, _KERNEL_S * self._options.patience)
        self._tell.figure("systemd_s", seconds)
        return seconds

    def _pull_the_plug(self, visit: Visit) -> None:
        with self._tell.step("The plug is pulled in the middle") as found:
            begun = len(visit.link.take().asked)
            end = time.monotonic() + self._options.cut_after_s
            self._device.until(lambda: time.monotonic() > end or None, "time to pass", 2 * self._options.cut_after_s)
            asked = visit.until_asked(_LEAST_REQUESTS, begun) - begun
            self._device.pull_the_plug()
            found(f"{asked} requests in the seconds before")

    def _visit(self) -> Visit:
        return Visit.to(
            *(self._device, self._node, self._tell),
            port=self._port,
            papers=self._fleet.papers,
            base=self._base,
            before=self._sessions,
            patience=self._options.patience,
        )
