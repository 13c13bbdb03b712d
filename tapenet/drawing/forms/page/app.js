// The page's state, and what every part of it asks of the others.

class App {
  constructor(data) {
    this.data = data;
    this.graph = makeGraph(data.drawing);
    this.folding = new Folding(this.graph, data.open);
    this.layout = new Layout(this.graph, this.folding, data.direction);
    this.chosen = null; // what was clicked, though what stands for it may be a closed module around
    this.second = null;
    this.folded = () => {}; // who is told when a module opens or closes
    this.hot = null; // a set of ids, or null: nothing is singled out
    this.hotVertices = null;
    this.signs = this.allSigns();
    this.paint = new Paint(this);
    this.arrange();
    this.search = new Search(this);
    this.play = new Play(this);
    this.panel = new Panel(this);
    const stage = find("stage");
    this.camera = new Camera(stage, () => this.view.follow());
    this.view = new View(this, stage);
    this.minimap = new Minimap(this);
    this.stage = stage;
    this.listen();
    this.startView();
    this.panel.show();
    new ResizeObserver(() => (this.started ? this.view.follow() : this.startView())).observe(stage);
  }

  get selected() {
    return this.chosen === null ? null : this.folding.stands[this.chosen];
  }

  startView() {
    this.started = this.stage.clientWidth > 0; // a frame of a notebook may have no size at first
    const { x, y, w, h, size, sideways, drawn: [first] } = this.layout;
    this.camera.start(...size, sideways, sideways ? y[first] + h[first] / 2 : x[first] + w[first] / 2);
  }

  fit() {
    this.camera.fit(...this.layout.size);
  }

  arrange() {
    this.paint.totals.clear();
    this.layout.update((id) => this.paint.widest(id));
  }

  // Lay out anew, with one box kept where it is on the stage.
  relayout() {
    const { layout, camera } = this;
    const held = this.selected ?? layout.drawn[0];
    const before = [layout.x[held], layout.y[held]];
    this.arrange();
    this.refold();
    camera.set(camera.x + layout.x[held] - before[0], camera.y + layout.y[held] - before[1]);
  }

  // -- folding -----------------------------------------------------------------------------------------------------

  // Open or close clusters, with one of them kept where it is on the stage.
  fold(ids, open, anchor = ids[0]) {
    const { folding, layout, camera } = this;
    const held = folding.stands[anchor];
    const before = [layout.x[held], layout.y[held]];
    if (!folding.set(ids, open)) return;
    this.arrange();
    const now = folding.seen(held) ? held : folding.stands[held];
    camera.stop();
    this.refold();
    camera.set(camera.x + layout.x[now] - before[0], camera.y + layout.y[now] - before[1]);
  }

  toggle(id) {
    const open = !this.folding.isOpen(id);
    this.fold([id], open);
    const title = clean(clusterTitle(this.graph.clusterOf(id)));
    this.announce(open ? `${title} opened, ${plural(this.graph.inside.get(id).length, "box", "boxes")}` : `${title} folded`);
  }

  // Open so many levels of modules, all of them for Infinity.
  unfoldTo(depth) {
    const { graph, folding, layout } = this;
    for (const open of [true, false]) {
      const ids = [];
      for (let id = graph.count; id < graph.root; id++) if ((graph.level[id] <= depth) === open) ids.push(id);
      folding.set(ids, open);
    }
    this.arrange();
    this.refold();
    this.startView();
    this.announce(`${plural(layout.seen.length, "box", "boxes")} shown`);
  }

  // The positions of the modules that are open.
  opened() {
    const { graph, folding } = this;
    return graph.clusters.map((_, i) => i).filter((i) => folding.isOpen(graph.count + i));
  }

  // Open these and no others.
  openOnly(positions) {
    const { graph, folding, layout } = this;
    const wanted = new Set(positions);
    const changed = [true, false].map((open) => (
      folding.set(graph.clusters.map((_, i) => i).filter((i) => wanted.has(i) === open).map((i) => graph.count + i), open)));
    if (!changed.includes(true)) return;
    this.arrange();
    this.refold();
    this.startView();
  }

  // Everything that depends on what is open; the picture is drawn anew when the camera is put next.
  refold() {
    this.hot = this.hotVertices && this.withAround(this.hotVertices);
    this.paint.refresh();
    this.play.refold();
    this.view.stale = true;
    this.panel.show();
    this.folded();
  }

  // -- selection ---------------------------------------------------------------------------------------------------

  select(id, { show = false, focus = false } = {}) {
    this.chosen = id;
    this.second = null;
    this.play.leave();
    this.light(null);
    this.panel.show();
    if (id === null) return;
    if (show) this.bringIntoView(id);
    if (focus) this.view.focus(this.selected);
    this.announce(this.spoken(this.selected));
  }

  // Make it seen, whatever is folded around it.
  reveal(id) {
    const around = this.folding.around(id);
    if (around.length) this.fold(around, true, around[around.length - 1]);
  }

  bringIntoView(id, always = false) {
    const { layout } = this;
    const at = this.folding.stands[id];
    this.camera.show(layout.x[at], layout.y[at], layout.w[at], layout.h[at], always);
    if (!this.view.boxes.has(at)) this.view.redraw();
  }

  // Single out vertices: the others fade.
  light(vertices) {
    this.hotVertices = vertices;
    this.hot = vertices && this.withAround(vertices);
    this.view.decorate();
  }

  withAround(vertices) {
    const found = new Set();
    for (const vertex of vertices) {
      for (let id = vertex; id >= 0 && !found.has(id); id = this.graph.parent[id]) found.add(id);
    }
    return found;
  }

  // All vertices that values come from on their way to these, or go to from these; with them.
  reach(starts, forward) {
    const { incoming, outgoing, edges } = this.graph;
    const found = new Set(starts);
    const pending = [...found];
    while (pending.length) {
      const at = pending.pop();
      for (const i of (forward ? outgoing : incoming)[at]) {
        const edge = edges[i];
        const next = forward ? edge.head : edge.tail;
        if (edge.onward && !found.has(next)) {
          found.add(next);
          pending.push(next);
        }
      }
    }
    return found;
  }

  lightPath(forward) {
    if (this.chosen === null) return;
    const found = this.reach(this.graph.within(this.chosen), forward);
    this.light(found);
    this.announce(`${plural(found.size, "box", "boxes")} on the way ${forward ? "to outputs" : "from inputs"}`);
  }

  lightBetween(other) {
    this.second = other;
    const ends = [this.chosen, other];
    for (const [from, to] of [ends, [...ends].reverse()]) {
      const after = this.reach(this.graph.within(from), true);
      const before = this.reach(this.graph.within(to), false);
      const both = new Set([...after].filter((vertex) => before.has(vertex)));
      if (both.size) {
        this.light(both);
        this.announce(`${plural(both.size, "box", "boxes")} on the paths between the two`);
        return;
      }
    }
    this.light(new Set([...ends].flatMap((id) => [...this.graph.within(id)])));
    this.announce("no path between the two");
  }

  clear() {
    this.search.clear();
    this.select(null);
  }

  // -- what the view asks --------------------------------------------------------------------------------------------

  states(id) {
    const { folding, search, play } = this;
    const sign = this.paint.isTrouble(id) ? "trouble" : this.signs[id];
    return {
      selected: id === this.selected, second: this.second !== null && id === folding.stands[this.second],
      hot: this.hot !== null && this.hot.has(id), match: this.layout.guests.get(id)?.some((guest) => search.matches.has(guest)) || search.matches.has(id),
      nested: !folding.isOpen(id) && search.nested.has(id), found: id === search.current,
      now: play.now === id, done: play.done.has(id), returned: play.returned.has(id),
      trouble: sign === "trouble", dead: sign === "dead", added: sign === "added",
      removed: sign === "removed", changed: sign === "changed",
    };
  }

  edgeStates(edge) {
    const { play, hotVertices, selected } = this;
    const { edges } = this.graph;
    let hot = false;
    if (hotVertices) hot = edge.of.some((i) => hotVertices.has(edges[i].tail) && hotVertices.has(edges[i].head));
    const touched = selected !== null && !hotVertices && (edge.tail === selected || edge.head === selected);
    return { hot, touched, flowing: play.flows(edge) };
  }

  ownSign(id) {
    const { graph } = this;
    return id === graph.root ? "" : (graph.isCluster(id) ? graph.clusterOf(id) : graph.vertices[id]).sign || "";
  }

  // Why a vertex has its sign; of a folded one, the reasons stand among its details.
  reason(id) {
    const vertex = this.graph.vertices[id];
    const told = vertex && vertex.kind !== "module" && ["trouble", "dead", "changed"].includes(vertex.sign);
    return (told && vertex.details[0]) || "";
  }

  // A closed cluster tells of what is to be seen in it.
  allSigns() {
    const { graph } = this;
    const signs = Array.from({ length: graph.root + 1 }, (_, id) => this.ownSign(id));
    const weight = { trouble: 2, added: 1, removed: 1, changed: 1 };
    for (let id = 0; id < graph.count; id++) {
      if (!weight[signs[id]]) continue;
      const told = weight[signs[id]] === 2 ? "trouble" : "changed";
      for (let at = graph.parent[id]; at !== graph.root; at = graph.parent[at]) {
        if (!signs[at] || told === "trouble") signs[at] = told;
      }
    }
    return signs;
  }

  ownFill(id) {
    const { graph } = this;
    return (graph.isCluster(id) ? graph.clusterOf(id) : graph.vertices[id]).fill || "";
  }

  titleOf(id) {
    const { graph } = this;
    return graph.isCluster(id) ? clusterTitle(graph.clusterOf(id)) : graph.vertices[id].title.split("\n").join(" · ");
  }

  // What a screen reader says of a box.
  spoken(id) {
    const { graph, folding } = this;
    const guests = this.layout.guests.get(id) || [];
    const title = [id, ...guests].map((one) => clean(this.titleOf(one), 80)).join(", then ");
    if (graph.isCluster(id)) {
      const { parameters, around } = graph.clusterOf(id);
      const facts = [title, around];
      if (parameters) facts.push(plural(parameters, "parameter"));
      if (this.signs[id]) facts.push(this.data.signs[this.signs[id]]);
      return [...facts, folding.isOpen(id) ? "open" : "folded"].join(", ");
    }
    const vertex = graph.vertices[id];
    const out = vertex.value ?? (graph.outgoing[id].length ? graph.edges[graph.outgoing[id][0]].value : null);
    const where = graph.parent[id] === graph.root ? "" : `, in ${clean(clusterTitle(graph.clusterOf(graph.parent[id])), 80)}`;
    const sign = vertex.sign ? `, ${this.data.signs[vertex.sign]}` : "";
    return `${title}, ${vertex.kind}${out ? `, ${valueText(out)}` : ""}${where}${sign}`;
  }

  announce(text) {
    find("spoken").textContent = visible(text);
  }

  // -- pointing ------------------------------------------------------------------------------------------------------

  listen() {
    const { stage } = this;
    const target = (event) => {
      const element = event.target.closest("[data-id]");
      const box = stage.getBoundingClientRect();
      const under = this.view.under(...this.camera.at(event.clientX - box.left, event.clientY - box.top));
      const id = element && !this.view.far ? Number(element.dataset.id) : under;
      return { id, fold: Boolean(event.target.closest("[data-fold]")), edge: event.target.closest(".edge")?.edge };
    };
    stage.addEventListener("click", (event) => {
      if (this.camera.dragged) return;
      const { id, fold } = target(event);
      if (id === null) this.select(null);
      else if (event.shiftKey && this.chosen !== null && this.chosen !== id) this.lightBetween(id);
      else {
        this.select(id, { focus: true });
        if (fold) this.toggle(id);
      }
    });
    stage.addEventListener("dblclick", (event) => {
      const { id, fold } = target(event);
      if (id !== null && !fold && this.graph.isCluster(id)) this.toggle(id);
    });
    const tip = find("tip");
    stage.addEventListener("pointermove", (event) => {
      const { id, edge } = target(event);
      const text = edge ? this.edgeTip(edge) : id === null ? "" : this.boxTip(id);
      tip.textContent = visible(text);
      tip.hidden = !text || stage.classList.contains("dragging");
      if (tip.hidden) return;
      const box = stage.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left, event.clientY - box.top];
      tip.style.setProperty("left", `${Math.max(4, Math.min(px + 14, box.width - tip.offsetWidth - 8))}px`);
      tip.style.setProperty("top", `${py + 18 + tip.offsetHeight > box.height ? py - tip.offsetHeight - 10 : py + 18}px`);
    });
    for (const name of ["pointerleave", "pointerdown"]) stage.addEventListener(name, () => { tip.hidden = true; });
  }

  boxTip(id) {
    const { graph, paint } = this;
    if (graph.isCluster(id)) {
      const cluster = graph.clusterOf(id);
      const counted = cluster.parameters ? plural(cluster.parameters, "parameter") : "";
      return [cluster.path, clusterTitle(cluster), counted, paint.text(id)].filter(Boolean).map((t) => clean(t, 200)).join("\n");
    }
    const vertex = graph.vertices[id];
    return [this.titleOf(id), valueText(vertex.value), ...vertex.details.slice(0, 8), vertex.line, paint.text(id)]
      .filter(Boolean).map((text) => clean(text, 200)).join("\n");
  }

  edgeTip(edge) {
    const way = ["", "gradient ", "new value ", "to the next repetition: "][edge.way];
    return `${way}${edge.told.map((text) => clean(text, 200)).join("\n")}`;
  }
}
