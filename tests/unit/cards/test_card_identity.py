"""What a card may be told, and what is refused before anything is written."""

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.image.card_identity import CardIdentity, Login, Wifi
from roost_provisioning.image.card_passwords import guessed, password_hash, wifi_key
from roost_provisioning.image.card_settings import with_name
from roost_provisioning.image.personalise import names_of

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFqMjWTKL1lsDe0aV7eHTIR4MiARdNJv95QB4yYx9Za me@desk"


@pytest.mark.parametrize("name", ["Coop", "coop_7", "-coop", "coop-", "coop 7", "x" * 100, "coop;reboot", "coop\n"])
def test_a_name_that_no_host_can_have_is_refused(name: str) -> None:
    with pytest.raises(Misuse, match="cannot be the name"):
        CardIdentity(name=name)


@pytest.mark.parametrize(
    "key",
    ["", "ssh-rsa", f"command=x {KEY}", f"{KEY}'; reboot #", KEY.replace("me@", "$(x)@"), f"{KEY}\n{KEY}",
     "-----BEGIN OPENSSH PRIVATE KEY-----"],
)  # fmt: skip
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(Misuse):
        Login(user="keeper", keys=(key,))


@pytest.mark.parametrize("user", ["root", "roost", "Keeper", "keeper; reboot", "", "../x"])
def test_users_of_the_system_and_odd_names_cannot_log_in(user: str) -> None:
    with pytest.raises(Misuse, match="user to log in"):
        Login(user=user, keys=(KEY,))


def test_a_login_without_key_and_password_is_refused() -> None:
    with pytest.raises(Misuse, match="nothing lets keeper in"):
        Login(user="keeper")


def test_a_password_in_plain_text_is_not_taken_for_a_hash() -> None:
    with pytest.raises(Misuse, match="no hash"):
        Login(user="keeper", password="henhouse9")  # noqa: S106  # it is refused: that is the test


def test_a_hash_is_salted_and_does_not_give_the_password_back() -> None:
    one, other = password_hash("henhouse9"), password_hash("henhouse9")
    assert one != other
    assert one.startswith("$6$")
    assert guessed(one) is None
    assert Login(user="keeper", password=one).password == one


def test_passwords_that_everybody_tries_are_refused_and_recognised() -> None:
    with pytest.raises(Misuse, match="first that are tried"):
        password_hash("raspberry")
    # openssl passwd -6 -salt saltsalt raspberry
    known = "$6$saltsalt$677q0O/U8ycKsbBfN68CgcyXcWEbi0J/eUf256PkkeGXfNX3CNnPlwFdNvdBgnSiHDx5X1Xozxf5lg9iVIVVu/"
    assert guessed(known) == "raspberry"


def test_a_wifi_key_is_what_wpa_makes_of_name_and_passphrase() -> None:
    # The first test vector of IEEE 802.11i, H.4.1.
    assert wifi_key("IEEE", "password") == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    assert wifi_key("any", "A" * 64) == "a" * 64


@pytest.mark.parametrize("passphrase", ["short", "x" * 65, "ümläut-ümläut", "tab\tinside"])
def test_what_cannot_be_a_wifi_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(Misuse, match="8 to 63"):
        wifi_key("coop", passphrase)


@pytest.mark.parametrize(
    ("ssid", "country"), [("", "DE"), ("x" * 33, "DE"), ("a\nb", "DE"), (" coop", "DE"), ("coop", "de"), ("coop", "")]
)
def test_a_network_without_a_usable_name_or_country_is_refused(ssid: str, country: str) -> None:
    with pytest.raises(Misuse):
        Wifi(ssid=ssid, country=country)


@pytest.mark.parametrize(
    "path", ["../etc/passwd", "roost.toml/x", "schedules/../x.toml", "user-data", "schedules/.toml"]
)
def test_settings_go_nowhere_but_beside_the_seed(path: str) -> None:
    with pytest.raises(Misuse, match="no file of settings"):
        CardIdentity(name="coop", files={path: b""})


def test_each_card_gets_its_own_name_in_the_settings_and_comments_stay() -> None:
    text = '# ours\n[broker]\nname = "b"\n[node] # this one\nname = "old"  # it\ndata = "/x"\n[tasks.name]\nname = 1\n'
    assert with_name(text, "coop-7") == text.replace('name = "old"', 'name = "coop-7"')


def test_settings_that_take_the_name_of_the_certificate_stay_as_they_are() -> None:
    text = '[node]\nname = "@identity"\n'
    assert with_name(text, "coop-7") == text


@pytest.mark.parametrize(
    "text",
    [
        '[node]\ndata = "x"\n',
        'node = {name = "x"}\n',
        '[node]\ntext = """\nname = "no"\n"""\nname = "x"\n',
        "[other]\n",
    ],
    ids=["no name", "inline table", "a name within a text", "no node"],
)
def test_settings_in_which_the_name_cannot_be_set_are_refused(text: str) -> None:
    with pytest.raises(Misuse, match="no line"):
        with_name(text, "coop-7")


def test_many_cards_are_numbered_to_the_same_width() -> None:
    assert names_of("", "coop-", 10) == [f"coop-{number:02}" for number in range(1, 11)]
    assert names_of("", "coop-", 2, first=9) == ["coop-09", "coop-10"]
    assert names_of("coop", "", 1) == ["coop"]


@pytest.mark.parametrize(("name", "prefix", "count"), [("", "", 1), ("a", "b", 1), ("a", "", 2), ("", "b", 0)])
def test_one_name_is_for_one_card(name: str, prefix: str, count: int) -> None:
    with pytest.raises(Misuse):
        names_of(name, prefix, count)
