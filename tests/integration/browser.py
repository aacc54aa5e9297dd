"""The browser with which the demo works its page is the one that the tests look at pages with."""

from roost_edge.demo_loop.chromium import BROWSER, Page, page

__all__ = ["BROWSER", "Page", "page"]
