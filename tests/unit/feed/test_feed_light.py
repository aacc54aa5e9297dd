import subprocess
import sys

HEAVY = ("tweepy", "requests", "oauthlib", "typer", "rich", "numpy", "PIL", "sqlite_utils", "aiohttp")


def test_the_role_begins_without_what_it_needs_only_to_post() -> None:
    code = (
        "import sys, roost_edge.feed.role, roost_edge.compose_feed, roost_edge.feed.opening, roost_edge.doctor.feed\n"
    )
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
