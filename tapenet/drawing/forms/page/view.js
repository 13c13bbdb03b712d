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
    stage.append(this.world);
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
    this.app.minimap.follow(sight);
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
    const edges = layout.edges.filter(({ box }) => (
      box[0] - 9 <= area[2] && box[1] <= area[3] && box[2] + 9 >= area[0] && box[3] >= area[1]));
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
    const lines = layout.lines.get(id);
    const wide = Math.max(0, ...lines.map(({ text, size, bold }) => room(text, size, bold)));
    const rect = draw("rect", {
      class: `cluster depth${graph.level[id] % 2 ? 0 : 1}`, transform: at, width: layout.w[id], height: layout.h[id], rx: 8,
      "data-id": id,
    });
    rect.classList.add(cluster.around);
    if (cluster.fill) rect.style.setProperty("fill", cluster.fill);
    const head = draw("g", {
      class: `head depth${graph.level[id] % 2 ? 0 : 1}`, transform: at, "data-id": id, "data-fold": true, role: "button", tabindex: -1, "aria-expanded": "true",
      "aria-label": `${clean(clusterTitle(cluster), 120)}, module, open`,
    },
    draw("rect", { class: "grip", x: 3, y: 3, width: wide + 18, height: Math.max(12, head_height(lines) - 4), rx: 5 }),
    draw("path", { class: "chevron", d: "M6.5 10l3.5 4l3.5 -4" }));
    let y = 5;
    for (const { text, size, bold } of lines) {
      head.append(draw("text", { class: bold ? "bold" : "", x: 17, y: y + 0.9 * size, "font-size": size }, text));
      y += 1.3 * size;
    }
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
    }
    group.append(draw("rect", { class: "frame", width: w, height: h, rx: layout.round.has(id) ? h / 2 : 5 }));
    if (closed) {
      group.append(draw("rect", { class: "grip", "data-fold": true, x: 1, y: 1, width: 20, height: h - 2, rx: 5 }),
        draw("path", { class: "chevron", d: `M3 ${h / 2 - 3.5}l4 3.5l-4 3.5` }));
    }
    const lines = layout.lines.get(id);
    const largest = Math.max(0, ...lines.map(({ size }) => size));
    let y = (h - 1.25 * lines.reduce((sum, { size }) => sum + size, 0)) / 2;
    for (const { text, size, bold } of lines) {
      const look = `${size < largest ? "minor" : "title"}${bold ? " bold" : ""}`;
      group.append(draw("text", { class: look, x: w / 2, y: y + 0.985 * size, "font-size": size }, text));
      y += 1.25 * size;
    }
    group.measured = group.querySelectorAll("text")[layout.measured.get(id)];
    this.layers.boxes.append(group);
    return [group];
  }

  addEdge(edge) {
    const { flow, skip, broken, sign } = edge.edge;
    const [line, tip] = edge.shape;
    const look = `edge ${flow}${skip ? " skip" : ""}${broken ? " broken" : ""}${sign ? ` ${sign}` : ""}`;
    const tips = [tip];
    if (flow === "exchange") tips.push(arrow([...edge.points].reverse(), stroke(edge.edge).width)[1]); // it goes both ways
    const way = draw("g", { class: look }, draw("path", { d: line }), ...tips.map((points) => draw("polygon", { points })));
    way.edge = edge;
    this.layers.edges.append(way);
    const parts = [way];
    if (edge.label) {
      const { text, x, y } = edge.label;
      const label = draw("text", { class: "shape", x, y }, text);
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
    if (group.measured) group.measured.textContent = app.paint.line(id);
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
      put(`edge ${edge.edge.flow}${hot ? " hot" : ""}${flowing ? " flowing" : ""}`, edge.shape[0]);
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

// Black or white, whichever reads better on a colour: both do equally where its luminance is 0.18.
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
}
