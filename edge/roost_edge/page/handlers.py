"""All addresses of the page, and what stands before each: the guard, the dress, the doorman."""

from aiohttp import web

from roost_edge.page.changing import Changing
from roost_edge.page.drifting import Drifting
from roost_edge.page.giving import Giving
from roost_edge.page.house import House
from roost_edge.page.listening import Listening, Sender
from roost_edge.page.live import Live
from roost_edge.page.looking import Looking
from roost_edge.page.scraping import Scraping
from roost_edge.page.visits import doorman, dressing
from roost_rendezvous.proxy import replies
from roost_rendezvous.proxy.front import guarding
from roost_rendezvous.proxy.settings import ProxySettings


def application(house: House, listening: Listening, sender: Sender, limits: ProxySettings) -> web.Application:
    """Ready to be served."""
    guard = guarding(replies.of_refusal, local=house.own.local, help_at="/")
    app = web.Application(middlewares=[guard, dressing(house), doorman(house)])
    changing, live = Changing(house, listening, sender, limits), Live(house, listening)
    looking = Looking(house, changing.examining)
    drifting = Drifting(house, listening, limits)
    routes = (
        *(*looking.routes(), *drifting.routes(), *changing.routes()),
        *(*Giving(house).routes(), *Scraping(house).routes()),
    )
    app.router.add_routes([*routes, web.get("/live", live.tell)])

    async def leave(_: web.Application) -> None:
        await live.stop()
        await changing.stop()

    app.on_shutdown.append(leave)
    return app
