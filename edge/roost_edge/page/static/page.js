"use strict";
// Improves what works without it: pages that show what changes fetch their inside anew when the device says so.
(() => {
  const main = document.getElementById("main");
  if (!main || !("live" in main.dataset) || !window.EventSource) return;
  let busy = false, again = false, lost = false, missed = false, version = main.dataset.live;

  // A form that somebody is filling in, and a text that somebody is marking, are left alone.
  const taken = () => {
    const at = document.activeElement;
    return (at && main.contains(at) && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) || String(getSelection()).length > 0;
  };

  const look = async () => {
    if (busy) { missed = true; return; }
    if (document.hidden || taken()) { again = true; return; }
    busy = true; again = false;
    try {
      const opened = [...main.querySelectorAll("details")].map((one) => one.open);
      const said = await fetch(location.href, { headers: { "X-Part": "main", Accept: "text/html" }, redirect: "error" });
      if (said.ok) {
        const text = await said.text();
        version = said.headers.get("X-Version");
        const fresh = document.createElement("main");
        fresh.innerHTML = text;
        keepPictures(fresh);
        main.replaceChildren(...fresh.childNodes);
        main.querySelectorAll("details").forEach((one, nth) => { one.open = Boolean(opened[nth]); });
        lost = false;
      }
    } catch {
      if (!lost) {
        lost = true;
        const line = document.createElement("p");
        line.className = "trouble";
        line.setAttribute("role", "status");
        line.textContent = "The page's server does not answer. What stands here is old; it is asked again.";
        main.prepend(line);
      }
    } finally {
      busy = false;
      if (missed) { missed = false; look(); }
    }
  };

  // A picture that is shown already is not loaded again, so that nothing flickers.
  const keepPictures = (fresh) => {
    const shown = new Map([...main.querySelectorAll("img")].map((one) => [one.getAttribute("src"), one]));
    for (const image of fresh.querySelectorAll("img")) {
      const same = shown.get(image.getAttribute("src"));
      if (same && same.complete) { shown.delete(image.getAttribute("src")); image.replaceWith(same); }
    }
  };

  const ear = new EventSource("/live");
  ear.addEventListener("changed", (said) => { if (said.data !== version) look(); });
  // The ear may be refused (enough are listening) or the server away: then it looks by itself.
  setInterval(() => { if (ear.readyState !== EventSource.OPEN || again || lost) look(); }, 10000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
})();
