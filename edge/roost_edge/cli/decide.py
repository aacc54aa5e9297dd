"""`roost decide`: one model, one picture, no broker (the first stage of adoption)."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from roost_edge.cli import output
from roost_edge.cli.output import Json


def decide(
    image: Annotated[Path, typer.Argument(help="A picture: JPEG, PNG …")],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="A bundle: a folder or a .roost file.")],
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many labels to print.")] = 3,
    as_json: Json = False,
) -> None:
    """Ask one model about one picture.

    With --json: the very messages that would travel over the broker.
    """
    from roost_broker.clock import SystemClock
    from roost_broker.errors import Misuse
    from roost_broker.messages import Message, encode
    from roost_models.bundle.opening import open_bundle
    from roost_models.decide import decide as ask

    opened = open_bundle(bundle)
    try:
        data = image.read_bytes()
    except OSError as error:
        raise Misuse(f"{image} cannot be read: {error.strerror}.", "Name a picture.") from error
    decision = ask(data, opened, clock=SystemClock(), node="local", labels_top=top, name=image.name)

    def plain(message: Message) -> object:
        return msgspec.json.decode(encode(message))

    if as_json:
        messages: dict[str, Message] = {"request": decision.request, "score": decision.score, "result": decision.result}
        output.data({name: plain(message) for name, message in messages.items()})
        return
    score = decision.score
    rows = [(shown.label, f"{shown.score:.4f}", output.bar(shown.score)) for shown in score.outputs[:top]]
    print(output.table(rows))
    output.say(f"{score.model} {score.version}, {score.runtime}: {score.compute_ms:.1f} ms")
