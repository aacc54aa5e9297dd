"""The way in, and what is said when something is refused. Pure."""

from roost_edge.page.views.markup import Html, badge, el


def login(door: str, problem: str, back: str) -> Html:
    """One field. `door` is the token of the form, `back` where to go then."""
    return el(
        "form",
        el("input", type="hidden", name="door", value=door),
        el("input", type="hidden", name="back", value=back),
        el("p", badge("bad", "no"), f" {problem}", role="alert") if problem else None,
        el("input", name="username", value="roost", autocomplete="username", hidden=True),  # for password managers
        el(
            "label",
            el("span", "Password"),
            el(
                "input",
                type="password",
                name="password",
                required=True,
                autofocus=True,
                autocomplete="current-password",
                maxlength=200,
            ),
        ),
        el("button", "Log in"),
        el("p", "Forgotten? On the device: roost page password.", class_="note"),
        method="post",
        action="/login",
        class_="login",
    )


def refused(problem: str, remedy: str) -> Html:
    """What is wrong, and what to do."""
    return el("p", badge("bad", "refused"), f" {problem} ", el("span", remedy, class_="remedy"), class_="trouble")
