// The picture on the stage. Only what is near the visible part is in the document; where that would be more than a
// reader could tell apart, boxes are drawn without text, a kind at a time.

const MOST_BOXES = 500; // drawn one by one

class View {
  constructor(app, stage) {
    this.app = app;
    this.stage = stage;
    this.world = draw("g", { class: "world" });
    this.layers = {};
    for (const name of ["clusters", "far", "edges", "labels", "boxes", "heads"]) {
      this.layers[name] = draw("g", { class: name });
      this.world.append(this.layers[name]);
    }
    stage.append(arrows(), this.world);
    this.boxes = new Map(); // by id: what is drawn of it
    this.edges = new Map(); // by key
    this.drawn = null; // the part of the picture that is drawn
    this.stale = false; // whether boxes have moved since
  }

  // After the camera moved.
  follow() {
    const { camera } = this.app;
    const { scale } = camera;
    this.world.setAttribute("transform", `translate(${-camera.x * scale} ${-camera.y * scale}) scale(${scale})`);
    this.stage.classList.toggle("small", scale < 0.5);
    const [width, height] = camera.size;
    const sight = [camera.x, camera.y, camera.x + width / scale, camera.y + height / scale];
    const d = this.drawn;
    const covered = d && !this.stale && d.scale / scale < 1.6 && scale / d.scale < 1.6
      && sight[0] >= d.area[0] && sight[1] >= d.area[1] && sight[2] <= d.area[2] && sight[3] <= d.area[3];
    if (!covered) this.redraw();
  }

  // Draw what is near the visible part; after a fold, with everything at its new place.
  redraw() {
    const moved = this.stale;
    this.stale = false;
    const { camera, layout } = this.app;
    const [width, height] = camera.size;
    const [mx, my] = [0.4 * width / camera.scale, 0.4 * height / camera.scale];
    const area = [camera.x - mx, camera.y - my, camera.x + width / camera.scale + mx, camera.y + height / camera.scale + my];
    this.drawn = { area, scale: camera.scale };
    const { x, y, w, h } = layout;
    const near = layout.seen.filter((id) => (
      x[id] <= area[2] && y[id] <= area[3] && x[id] + w[id] >= area[0] && y[id] + h[id] >= area[1]));
    const edges = layout.edges.filter(({ box, arrays }) => (
      arrays > 0 && box[0] - 9 <= area[2] && box[1] <= area[3] && box[2] + 9 >= area[0] && box[3] >= area[1]));
    this.far = near.length > MOST_BOXES;
    this.stage.classList.toggle("far", this.far);
    this.near = near;
    this.nearEdges = edges;
    const wanted = new Set(this.far ? near.filter((id) => this.standsOut(id)) : near);
    for (const [id, { open, parts }] of this.boxes) {
      const kept = wanted.has(id) && !(moved && (open || this.app.folding.isOpen(id)));
      if (kept && moved) parts[0].setAttribute("transform", this.placed(id));
      if (!kept) this.drop(this.boxes, id);
    }
    for (const id of wanted) if (!this.boxes.has(id)) this.add(id);
    const lines = new Map(this.far ? [] : edges.map((edge) => [edge.key, edge]));
    for (const [key, { edge }] of this.edges) if (lines.get(key) !== edge) this.drop(this.edges, key); // or it moved
    for (const edge of lines.values()) if (!this.edges.has(edge.key)) this.addEdge(edge);
    this.decorate();
  }

  // Whether a box is drawn by itself even from afar: large ones, and the selected one.
  standsOut(id) {
    const { layout, folding, camera, selected } = this.app;
    return id === selected || (folding.isOpen(id) && layout.w[id] * camera.scale > 60);
  }

  drop(drawn, key) {
    drawn.get(key).parts.forEach((part) => part.remove());
    drawn.delete(key);
  }

  placed(id) {
    const { layout } = this.app;
    return `translate(${layout.x[id]} ${layout.y[id]})`;
  }

  add(id) {
    const open = this.app.folding.isOpen(id);
    this.boxes.set(id, { open, parts: open ? this.openParts(id, this.placed(id)) : this.box(id, this.placed(id)) });
  }

  openParts(id, at) {
    const { graph, layout } = this.app;
    const cluster = graph.clusterOf(id);
    const rect = draw("rect", {
      class: `cluster depth${graph.level[id] % 2 ? 0 : 1}`, transform: at, width: layout.w[id], height: layout.h[id], rx: 8,
      "data-id": id,
    });
    if (cluster.around !== undefined) rect.classList.add(cluster.around);
    if (cluster.fill) rect.style.setProperty("fill", cluster.fill);
    const title = clean(clusterHeading(cluster), 120);
    const head = draw("g", {
      class: `head depth${graph.level[id] % 2 ? 0 : 1}`, transform: at, "data-id": id, "data-fold": true, role: "button", tabindex: -1, "aria-expanded": "true",
      "aria-label": `${title}, module, open`,
    },
    draw("rect", { class: "grip", x: 3, y: 3, width: Math.min(layout.w[id] - 6, headWidth(graph, id) - 10), height: HEAD - 4, rx: 5 }),
    draw("path", { class: "chevron", d: "M9 10.5l4 4.5l4 -4.5" }),
    draw("text", { x: 22, y: 17 }, title));
    const count = badge(graph, id);
    if (count) head.append(...pill(count, 28 + measure(title, SMALL + 1, 600), 5));
    this.layers.clusters.append(rect);
    this.layers.heads.append(head);
    return [rect, head];
  }

  box(id, at) {
    const { graph, layout } = this.app;
    const [w, h] = [layout.w[id], layout.h[id]];
    const closed = graph.isCluster(id);
    const thing = closed ? graph.clusterOf(id) : graph.vertices[id];
    const group = draw("g", {
      class: `box ${closed ? "module folded" : thing.kind}`, transform: at, "data-id": id, role: "button", tabindex: -1,
      "aria-label": this.app.spoken(id),
    });
    if (closed) {
      group.setAttribute("aria-expanded", "false");
      group.append(draw("rect", { class: "behind", x: 3, y: 3, width: w, height: h, rx: 6 }));
    }
    group.append(draw("rect", { class: "frame", width: w, height: h, rx: 5 }));
    if (closed) {
      group.append(draw("rect", { class: "grip", "data-fold": true, x: 1, y: 1, width: 20, height: h - 2, rx: 5 }),
        draw("path", { class: "chevron", d: `M9.5 ${h / 2 - 4}l4.5 4l-4.5 4` }));
    }
    let y = 4;
    for (const line of layout.size(id).lines) {
      y += line.small ? 13 : 15;
      const shift = closed ? 7 : 0;
      group.append(draw("text", {
        class: `${line.small ? "minor" : "title"}${line.bold ? " bold" : ""}`, x: w / 2 + shift, y: y - 3,
      }, line.text));
    }
    const count = badge(graph, id);
    if (count) group.append(...pill(count, w + 18 - Math.max(27, pillWidth(count)), -8));
    this.layers.boxes.append(group);
    return [group];
  }

  addEdge(edge) {
    const way = WAYS[edge.way];
    const path = draw("path", {
      class: `edge ${way}${edge.first.skip ? " skip" : ""}${edge.first.broken ? " broken" : ""}${edge.first.sign ? ` ${edge.first.sign}` : ""}`,
      d: curve(edge, this.app.layout.sideways),
    });
    path.edge = edge;
    this.layers.edges.append(path);
    const parts = [path];
    if (edge.label) {
      const { x, y, start } = edge.label;
      const label = draw("text", { class: start ? "shape start" : "shape", x, y }, edge.label.text);
      this.layers.labels.append(label);
      parts.push(label);
    }
    this.edges.set(edge.key, { edge, parts });
  }

  // Show what is selected, found, painted or running, on what is drawn.
  decorate() {
    const { app } = this;
    const { stage } = this;
    stage.classList.toggle("focused", app.hot !== null);
    stage.classList.toggle("playing", app.play.phase !== "");
    stage.classList.toggle("painted", app.paint.series !== null);
    for (const [id, { parts }] of this.boxes) {
      const states = app.states(id);
      for (const part of parts) {
        for (const [name, on] of Object.entries(states)) part.classList.toggle(name, on);
        if (part.tagName === "g") part.setAttribute("tabindex", id === app.selected ? "0" : "-1");
      }
      const frame = parts[0].querySelector(".frame");
      if (frame) this.paintBox(id, parts[0], frame);
    }
    for (const { edge, parts } of this.edges.values()) {
      const states = app.edgeStates(edge);
      for (const part of parts) for (const [name, on] of Object.entries(states)) part.classList.toggle(name, on);
      const [way] = parts;
      const lit = edge.way === FLOWS.value && (states.hot || states.flowing || states.touched);
      way.setAttribute("marker-end", `url(#arrow-${lit ? "hot" : edge.first.sign || way.classList[1]})`);
    }
    if (this.far) this.drawFar();
    else this.layers.far.replaceChildren();
    stage.setAttribute("tabindex", this.boxes.has(app.selected) ? "-1" : "0"); // one stop for the tab key, always
  }

  paintBox(id, group, frame) {
    const { app } = this;
    const colour = app.paint.colour(id) || app.ownFill(id);
    if (colour) {
      frame.style.setProperty("fill", colour);
      group.style.setProperty("--on", inkOn(colour));
    } else {
      frame.style.removeProperty("fill");
      group.style.removeProperty("--on");
    }
    group.classList.toggle("filled", Boolean(colour));
  }

  // From afar: the boxes of one look as one path, and so the edges.
  drawFar() {
    const { app, layers, near, nearEdges } = this;
    const { layout, graph, folding } = app;
    const looks = new Map();
    const put = (look, path, fill) => {
      const key = `${look} ${fill || ""}`;
      if (!looks.has(key)) looks.set(key, { look, fill, d: [] });
      looks.get(key).d.push(path);
    };
    for (const edge of nearEdges) {
      const { hot, flowing } = app.edgeStates(edge);
      const way = WAYS[edge.way];
      put(`edge ${way}${hot ? " hot" : ""}${flowing ? " flowing" : ""}`, curve(edge, layout.sideways));
    }
    for (const id of near) {
      const { hot, match, now, done, nested } = app.states(id);
      const kind = folding.isOpen(id) ? `cluster depth${graph.level[id] % 2 ? 0 : 1}`
        : graph.isCluster(id) ? "box module" : `box ${graph.vertices[id].kind}`;
      const look = `${kind}${hot ? " hot" : ""}${match || nested ? " match" : ""}${now ? " now" : ""}${done ? " done" : ""}`;
      const fill = folding.isOpen(id) ? "" : app.paint.colour(id) || app.ownFill(id);
      const [x, y, w, h] = [layout.x[id], layout.y[id], layout.w[id], layout.h[id]].map((n) => Math.round(n * 10) / 10);
      put(look, `M${x} ${y}h${w}v${h}h${-w}z`, fill);
    }
    const order = ({ look }) => (look.startsWith("cluster") ? 0 : look.startsWith("edge") ? 1 : 2);
    const paths = [...looks.values()].sort((a, b) => order(a) - order(b)).map(({ look, fill, d }) => {
      const path = draw("path", { class: `batch ${look}`, d: d.join("") });
      if (fill) path.style.setProperty("fill", fill);
      return path;
    });
    layers.far.replaceChildren(...paths);
  }

  // What is at a point of the picture: the innermost box.
  under(x, y) {
    const { layout } = this.app;
    let found = null;
    for (const id of this.near || []) {
      const inIt = x >= layout.x[id] && y >= layout.y[id] && x <= layout.x[id] + layout.w[id] && y <= layout.y[id] + layout.h[id];
      if (inIt && (found === null || layout.w[id] * layout.h[id] <= layout.w[found] * layout.h[found])) found = id;
    }
    return found;
  }

  focus(id) {
    const { parts } = this.boxes.get(id) || {};
    if (parts) parts[parts.length - 1].focus({ preventScroll: true });
  }
}

function arrows() {
  const marker = (name) => draw("marker", {
    id: `arrow-${name}`, viewBox: "0 0 10 10", refX: 8.5, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto",
    markerUnits: "userSpaceOnUse",
  }, draw("path", { class: `tip tip-${name}`, d: "M0 1.2L9 5L0 8.8z" }));
  const names = [...WAYS, "hot", "trouble", "added", "removed", "changed"];
  return draw("defs", {}, ...names.map(marker));
}

const pillWidth = (text) => Math.ceil(measure(text, SMALL, 600)) + 10;

function pill(text, x, y) {
  const width = pillWidth(text);
  return [
    draw("rect", { class: "pill", x, y, width, height: 14, rx: 7 }),
    draw("text", { class: "pilltext", x: x + width / 2, y: y + 10.5 }, text),
  ];
}

// A smooth line through points that leaves and enters layers straight; a way back, out to the side and around.
function curve({ points, bow }, sideways) {
  const n = (v) => Math.round(v * 10) / 10;
  if (bow) {
    const [x0, y0, x1, y1] = points.map(n);
    const out = n(bow);
    const turn = Math.min(10, Math.abs(sideways ? x1 - x0 : y1 - y0) / 2, out - (sideways ? Math.max(y0, y1) : Math.max(x0, x1)));
    const step = (sideways ? x1 < x0 : y1 < y0) ? -turn : turn;
    return sideways
      ? `M${x0} ${y0}V${out - turn}Q${x0} ${out} ${x0 + step} ${out}H${x1 - step}Q${x1} ${out} ${x1} ${out - turn}V${y1}`
      : `M${x0} ${y0}H${out - turn}Q${out} ${y0} ${out} ${y0 + step}V${y1 - step}Q${out} ${y1} ${out - turn} ${y1}H${x1}`;
  }
  let path = `M${n(points[0])} ${n(points[1])}`;
  for (let k = 2; k < points.length; k += 2) {
    const [x0, y0, x1, y1] = [points[k - 2], points[k - 1], points[k], points[k + 1]];
    const [across, along] = sideways ? [y1 - y0, x1 - x0] : [x1 - x0, y1 - y0];
    if (Math.abs(across) < 0.3) path += `L${n(x1)} ${n(y1)}`;
    else {
      const half = along / 2;
      path += sideways
        ? `C${n(x0 + half)} ${n(y0)} ${n(x1 - half)} ${n(y1)} ${n(x1)} ${n(y1)}`
        : `C${n(x0)} ${n(y0 + half)} ${n(x1)} ${n(y1 - half)} ${n(x1)} ${n(y1)}`;
    }
  }
  return path;
}

// Black or white, whichever reads better on a colour: both do equally where its luminance is 0.18.
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
}
