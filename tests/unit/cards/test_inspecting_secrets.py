"""What must not be in an image: each kind is found, and what every Debian has is not."""

import pytest

from roost_provisioning.image.inspecting_secrets import MUST_NOT, NOTE, PERSONAL, must_not_be, of_boot_file, of_file

PEM = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
OPENSSH = PEM.replace(b"PRIVATE", b"OPENSSH PRIVATE")
RASPBERRY = "$6$saltsalt$677q0O/U8ycKsbBfN68CgcyXcWEbi0J/eUf256PkkeGXfNX3CNnPlwFdNvdBgnSiHDx5X1Xozxf5lg9iVIVVu/"
OTHER = RASPBERRY.replace("677q", "777q")


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/etc/ssh/ssh_host_ed25519_key", OPENSSH, "ssh host key"),
        ("/var/lib/roost/identity/device.key", PEM, "same device"),
        ("/home/me/authority/root-1.key", PEM.replace(b"BEGIN", b"BEGIN ENCRYPTED"), "private key"),
        ("/etc/roost/odd-name.txt", b"text before\n" + PEM, "private key"),
        ("/root/key.ppk", b"PuTTY-User-Key-File-3: ssh-ed25519", "private key"),
        ("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n", "machine id"),
        ("/var/lib/dbus/machine-id", b"0123456789abcdef0123456789abcdef\n", "machine id"),
        ("/var/lib/systemd/credential.secret", b"x" * 4096, "credentials are sealed"),
        ("/etc/shadow", b"root:*:1:0:9:7:::\npi:" + RASPBERRY.encode() + b":1:0:9:7:::\n", "pi is 'raspberry'"),
        ("/etc/shadow", b"pi:" + OTHER.encode() + b":1:0:9:7:::\n", "pi has a password"),
        ("/etc/shadow", b"pi::1:0:9:7:::\n", "without a password"),
        ("/etc/roost/broker/passwords/operator", b"s3cret", "local broker"),
        ("/etc/NetworkManager/system-connections/a.nmconnection", b"[wifi-security]\npsk=abcdefgh\n", "Wi-Fi"),
        ("/etc/netplan/50-cloud-init.yaml", b'a:\n  password: "x"\n', "Wi-Fi"),
        ("/etc/apt/auth.conf.d/a.conf", b"machine a login b password c\n", "package archive"),
        ("/etc/apt/sources.list", b"deb https://me:secret@host/debian x main\n", "package archive"),
        ("/root/.netrc", b"machine a login b password c\n", "another machine"),
    ],
)
def test_what_all_cards_would_share_is_found(path: str, content: bytes, words: str) -> None:
    (found,) = of_file(path, 0o100600, content)
    assert found.level == MUST_NOT
    assert words in found.what
    assert found.remedy


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/machine-id", b""),
        ("/etc/machine-id", b"uninitialized\n"),
        ("/etc/shadow", b"root:*:1:0:9:7:::\npi:!:1:0:9:7:::\nx:!$6$a$b:1::::::\n"),
        ("/etc/ssh/ssh_host_ed25519_key.pub", b"ssh-ed25519 AAAA root@x"),
        ("/etc/roost/ca.pem", b"-----BEGIN CERTIFICATE-----\n"),
        ("/etc/wpa_supplicant/functions.sh", b"# psk is asked for\n"),
        ("/etc/apt/sources.list", b"deb https://host/debian x main\n"),
        ("/home/me/.ssh/authorized_keys", b"\n"),
    ],
)
def test_what_every_image_has_is_not_found(path: str, content: bytes) -> None:
    assert of_file(path, 0o100644, content) == []


def test_a_key_that_everybody_may_read_is_told_as_such() -> None:
    (found,) = of_file("/etc/roost/a.key", 0o100644, PEM)
    assert "everybody" in found.what


def test_who_may_log_in_is_a_note_with_the_keys_names() -> None:
    (found,) = of_file("/home/pi/.ssh/authorized_keys", 0o100600, b"ssh-ed25519 AAAA me@desk\n# x\n")
    assert (found.level, "me@desk" in found.what) == (NOTE, True)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("roost/seed.toml", b'[enrol]\nurl = "https://a"\ntoken = "secret-token"\nname = "coop-7"\n', "for coop-7"),
        ("network-config", b'network:\n  wifis:\n    a:\n      password: "0123"\n', "Wi-Fi"),
        ("user-data", b'#cloud-config\nuser:\n  passwd: "%b"\n' % OTHER.encode(), "hash of a user"),
        ("userconf.txt", b"keeper:" + OTHER.encode(), "hash of keeper"),
        ("firstrun.sh", b"/usr/lib/userconf-pi/userconf keeper '%b'\n" % OTHER.encode(), "hash of keeper"),
    ],
)
def test_what_is_one_devices_is_personal_and_too_much_for_a_public_image(path: str, content: bytes, words: str) -> None:
    found = of_boot_file(path, content)
    assert [one.level for one in found] == [PERSONAL]
    assert words in found[0].what
    assert must_not_be(found, public=False) == []
    assert must_not_be(found, public=True) == found


def test_a_finding_never_repeats_the_token() -> None:
    found = of_boot_file("roost/seed.toml", b'[enrol]\nurl = "https://a"\ntoken = "secret-token"\n')
    assert "secret-token" not in repr(found)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("user-data", b'#cloud-config\nuser:\n  passwd: "%b"\n' % RASPBERRY.encode(), "raspberry"),
        ("user-data", b"#cloud-config\nuser:\n  plain_text_passwd: henhouse9\n", "plain text"),
        ("device.key", PEM, "private key"),
    ],
)
def test_guessable_and_plain_passwords_and_keys_have_no_place_on_any_card(
    path: str, content: bytes, words: str
) -> None:
    (found,) = of_boot_file(path, content)
    assert found.level == MUST_NOT
    assert words in found.what


def test_a_seed_whose_token_was_used_and_one_that_is_no_toml_are_no_token() -> None:
    assert of_boot_file("roost/seed.toml", b'[enrol]\nurl = "https://a"\n') == []
    assert [one.level for one in of_boot_file("roost/seed.toml", b"[enrol")] == [NOTE]
