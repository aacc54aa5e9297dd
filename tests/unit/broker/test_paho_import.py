"""paho without what it needs for proxies alone, looked at in a fresh process."""

import subprocess
import sys

LOOKED = """
import sys
import roost_broker.mqtt
print("http.client" in sys.modules or "email" in sys.modules)
import urllib.request
print(callable(urllib.request.getproxies), "http.client" in sys.modules)
"""
AFTER = """
import urllib.request as mine
import roost_broker.mqtt, sys
print(sys.modules["urllib.request"] is mine)
"""


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.split()


def test_the_client_brings_neither_http_nor_mail_and_who_wants_them_gets_the_real_ones() -> None:
    assert said(LOOKED) == ["False", "True", "True"]


def test_what_was_imported_before_stays() -> None:
    assert said(AFTER) == ["True"]
