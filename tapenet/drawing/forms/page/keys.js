// The keyboard, and the buttons of the bar.

class Keys {
  constructor(app) {
    this.app = app;
    this.buttons();
    document.addEventListener("keydown", (event) => this.press(event));
    find("stage").addEventListener("focus", (event) => {
      if (event.target === event.currentTarget && app.selected === null && find("stage").matches(":focus-visible")) {
        app.announce("The graph. Press an arrow key to select its first box.");
      }
    });
  }

  press(event) {
    const { app } = this;
    if (event.ctrlKey || event.metaKey || event.altKey || find("help").open) return;
    const { target } = event;
    const typing = target.matches("input, select, textarea");
    if (event.key === "Escape" && !typing) return app.clear();
    if (typing && !(target.id === "step" && [" ", ".", ","].includes(event.key))) return;
    const onButton = target.matches("button");
    const does = {
      "/": () => find("search").focus(),
      "+": () => app.camera.zoom(1.3),
      "=": () => app.camera.zoom(1.3),
      "-": () => app.camera.zoom(1 / 1.3),
      0: () => app.fit(),
      f: () => app.fit(),
      "?": () => find("help").showModal(),
      ".": () => { app.play.pause(); app.play.move(1); },
      ",": () => { app.play.pause(); app.play.move(-1); },
      i: () => app.lightPath(false),
      o: () => app.lightPath(true),
      c: () => this.foldAround(),
      d: () => toggleTheme(app),
      ArrowUp: () => this.arrow("up"),
      ArrowDown: () => this.arrow("down"),
      ArrowLeft: () => this.arrow("left"),
      ArrowRight: () => this.arrow("right"),
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    } else if (event.key === " " && !onButton) {
      event.preventDefault();
      app.play.run();
    } else if (event.key === "Enter" && !onButton && app.selected !== null && app.graph.isCluster(app.selected)) {
      event.preventDefault();
      const id = app.selected;
      app.chosen = id;
      app.toggle(id);
      app.view.focus(id);
    }
    return undefined;
  }

  // Fold the module around what is selected, and select that.
  foldAround() {
    const { app } = this;
    if (app.selected === null) return;
    const around = app.graph.parent[app.selected];
    if (around === app.graph.root) return;
    app.fold([around], false);
    app.select(around, { show: true, focus: true });
  }

  arrow(key) {
    const { app } = this;
    const { layout, graph } = app;
    if (app.selected === null) {
      const top = graph.inside.get(graph.root);
      const next = app.play.now ?? top.find((id) => !layout.edges.some((edge) => edge.head === id)) ?? top[0];
      if (next !== undefined) app.select(next, { show: true, focus: true });
      return;
    }
    const turned = layout.sideways ? { left: "up", right: "down", up: "left", down: "right" } : {};
    const way = turned[key] || key;
    const next = way === "up" ? this.producer() : way === "down" ? this.consumer() : this.sibling(way === "right");
    if (next !== null && next !== undefined) app.select(next, { show: true, focus: true });
  }

  inIt(id) {
    const { graph, selected } = this.app;
    let at = id;
    while (at >= 0 && at !== selected) at = graph.parent[at];
    return at === selected;
  }

  producer() {
    const { layout, graph, selected } = this.app;
    let best = null;
    for (const edge of layout.edges) {
      if (!onward(edge) || !this.inIt(edge.head) || this.inIt(edge.tail)) continue;
      const weight = ($in(graph.vertices[edge.first.tail].kind, LEAVES) ? 0 : 1e9) + edge.first.tail - (edge.first.skip ? 1e8 : 0);
      if (!best || weight > best.weight) best = { weight, id: edge.tail };
    }
    if (best) return best.id;
    const around = graph.parent[selected];
    return this.above() ?? (around === graph.root ? null : around);
  }

  // The nearest box above in the same module, of what is computed from nothing.
  above() {
    const { layout, folding, graph, selected } = this.app;
    const { x, y, w, h, sideways } = layout;
    const [across, breadth, along, length] = sideways ? [y, h, x, w] : [x, w, y, h];
    const middle = (id) => across[id] + breadth[id] / 2;
    let best = null;
    for (const id of graph.inside.get(graph.parent[selected])) {
      const far = along[selected] - along[id] - length[id];
      if (id === selected || far < 0 || !folding.seen(id)) continue;
      const weight = far + Math.abs(middle(id) - middle(selected));
      if (!best || weight < best.weight) best = { weight, id };
    }
    return best && best.id;
  }

  consumer() {
    const { layout, folding, graph, selected } = this.app;
    if (folding.isOpen(selected)) return graph.inside.get(selected)[0];
    let best = null;
    for (const edge of layout.edges) {
      if (!onward(edge) || edge.tail !== selected) continue;
      if (!best || edge.first.head < best.first.head) best = edge;
    }
    return best && best.head;
  }

  // The nearest box on that side. First what is in the same module, beside it or joined to it by an arrow, as its
  // parameters are to an op; then the same elsewhere; then anything of the module, so that all are within reach.
  sibling(right) {
    const { layout, graph, folding, selected } = this.app;
    const { x, y, w, h, sideways } = layout;
    const [across, breadth, along, length] = sideways ? [y, h, x, w] : [x, w, y, h];
    const middle = (id) => across[id] + breadth[id] / 2;
    const joined = new Set(layout.edges.filter((edge) => edge.tail === selected || edge.head === selected)
      .flatMap((edge) => [edge.tail, edge.head]));
    let best = null;
    for (const id of layout.seen) {
      const far = (middle(id) - middle(selected)) * (right ? 1 : -1);
      if (id === selected || folding.isOpen(id) || far <= 0) continue;
      const near = graph.parent[id] === graph.parent[selected];
      const aside = far > breadth[selected] / 2; // rather than above or below
      const level = along[id] < along[selected] + length[selected] && along[selected] < along[id] + length[id];
      const linked = joined.has(id) && aside;
      const rank = [level && near, linked && near, level, linked, near && aside].indexOf(true);
      const weight = 1e9 * rank + far + Math.abs(along[id] - along[selected]);
      if (rank >= 0 && (!best || weight < best.weight)) best = { weight, id };
    }
    return best && best.id;
  }

  buttons() {
    const { app } = this;
    const click = (id, does) => find(id).addEventListener("click", does);
    click("zoom-in", () => app.camera.zoom(1.3));
    click("zoom-out", () => app.camera.zoom(1 / 1.3));
    click("zoom-fit", () => app.fit());
    click("theme", () => toggleTheme(app));
    click("show-help", () => find("help").showModal());
    click("help-close", () => find("help").close());
    const deepest = app.graph.level.subarray(app.graph.count, app.graph.root).reduce((most, level) => Math.max(most, level), 0);
    const depth = find("depth");
    find("folding").hidden = deepest === 0;
    for (let d = 1; d < deepest; d++) depth.append(make("option", { value: d }, plural(d, "level")));
    depth.append(make("option", { value: "all" }, "everything"));
    depth.addEventListener("change", () => {
      if (depth.value === "") return;
      app.unfoldTo(depth.value === "all" ? Infinity : Number(depth.value));
      depth.value = "";
    });
  }
}

// What the arrow keys follow: values, and new values.
const onward = ({ way }) => way === WAYS.value || way === WAYS.update;

// From light to dark and back, whichever the system prefers.
function toggleTheme(app) {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  themeChanged(app);
}

function themeChanged(app) {
  forgetTheme();
  app.paint.legend();
  app.view.decorate();
}

// The key of the colours that occur.
function buildLegend({ graph, data }) {
  const kinds = new Set(graph.vertices.map((vertex) => vertex.kind));
  if (graph.clusters.length) kinds.add("module");
  const sample = (look, name) => make("span", {}, make("i", { class: look }), name);
  const entries = Object.entries(data.words.kinds).filter(([kind]) => kinds.has(kind))
    .map(([kind, name]) => sample(`swatch ${kind}`, name));
  for (const [way, name] of Object.entries(data.words.ways)) {
    if (graph.edges.some((edge) => edge.flow === way || edge[way] === true)) entries.push(sample(`stroke ${way}`, name));
  }
  const marked = new Set([...graph.vertices, ...graph.clusters, ...graph.edges].map((one) => one.sign));
  for (const [sign, name] of Object.entries(data.signs)) {
    if (marked.has(sign)) entries.push(sample(`swatch ${sign}`, name));
  }
  find("legend").append(...entries);
}
