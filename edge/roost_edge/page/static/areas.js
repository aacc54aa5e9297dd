"use strict";
// Masks and zones as polygons on the picture. The field below holds them as text; drawing writes it, and reads it.
(() => {
  const [ground, drawing, field, tools] = ["areas", "drawing", "text", "tools"].map((id) => document.getElementById(id));
  if (!ground || !drawing || !field || !tools) return;
  const SVG = "http://www.w3.org/2000/svg";
  let points = null, dragged = null;
  tools.hidden = false;

  const areas = () => field.value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const words = line.split(/\s+/);
    const named = words[0] === "zone";
    const polygon = words.slice(named ? 2 : 1).map((word) => word.split(",").map(Number));
    return { kind: words[0], name: named ? words[1] || "" : "", points: polygon.filter((p) => p.length === 2 && p.every(Number.isFinite)) };
  });
  const write = (list) => {
    field.value = list.map((one) => [one.kind, one.name, ...one.points.map((p) => p.map((n) => +n.toFixed(4)).join(","))]
      .filter(Boolean).join(" ")).join("\n");
    draw();
  };
  const add = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    drawing.append(made);
    return made;
  };
  const at = (point) => point.map((n) => (n * 1000).toFixed(1)).join(",");
  const draw = () => {
    drawing.replaceChildren();
    areas().forEach((one, area) => {
      if (one.points.length < 2) return;
      add("polygon", { points: one.points.map(at).join(" "), class: one.kind });
      one.points.forEach((point, nth) => {
        const [cx, cy] = at(point).split(",");
        add("circle", { cx, cy, r: 9, class: "corner", "data-area": area, "data-point": nth });
      });
    });
    if (points) {
      add("polyline", { points: points.map(at).join(" "), class: "open" });
      points.forEach((point) => { const [cx, cy] = at(point).split(","); add("circle", { cx, cy, r: 9, class: "corner" }); });
    }
  };
  const place = (event) => {
    const box = ground.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((n) => Math.min(1, Math.max(0, n)));
  };
  const kind = () => tools.querySelector("input[name=kind]:checked").value;
  const close = () => {
    if (points && points.length >= 3) {
      const list = areas();
      const one = { kind: kind(), name: "", points };
      if (one.kind === "zone") {
        const taken = new Set(list.map((area) => area.name));
        let number = 1;
        while (taken.has(`zone-${number}`)) number += 1;
        one.name = `zone-${number}`;
      }
      points = null;
      write([...list, one]);
    } else { points = null; draw(); }
    document.getElementById("begin").textContent = "New area";
  };

  document.getElementById("begin").addEventListener("click", (event) => {
    if (points) { close(); return; }
    points = [];
    event.target.textContent = "Finish area";
    draw();
  });
  document.getElementById("undo").addEventListener("click", () => { if (points) { points.pop(); draw(); } });
  document.getElementById("remove").addEventListener("click", () => { points = null; write(areas().slice(0, -1)); });
  drawing.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const corner = event.target.dataset;
    if (!points && corner && corner.point !== undefined) {
      dragged = [Number(corner.area), Number(corner.point)];
      drawing.setPointerCapture(event.pointerId);
    } else if (points) { points.push(place(event)); draw(); }
  });
  drawing.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const list = areas();
    list[dragged[0]].points[dragged[1]] = place(event);
    write(list);
  });
  for (const ends of ["pointerup", "pointercancel"]) drawing.addEventListener(ends, () => { dragged = null; });
  field.addEventListener("input", draw);
  field.form.addEventListener("submit", () => { if (points) close(); });
  draw();
})();
