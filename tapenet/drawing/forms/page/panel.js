// The words beside the picture: of the whole, of what is selected, or of the step that plays.

const MOST_ENTRIES = 14;

class Panel {
  constructor(app) {
    this.app = app;
    this.root = find("panel");
  }

  show() {
    const { app, root } = this;
    const id = app.play.now ?? app.selected;
    const content = id === null ? this.whole() : app.graph.isCluster(id) ? this.module(id) : this.vertex(id);
    root.replaceChildren(...content.filter(Boolean));
  }

  whole() {
    const { app } = this;
    const { graph, data } = app;
    const counts = new Map();
    let parameters = 0;
    for (const vertex of graph.vertices) {
      counts.set(vertex.kind, (counts.get(vertex.kind) || 0) + 1);
      parameters += vertex.kind === "parameter" ? vertex.parameters || 0 : 0;
    }
    const words = { op: "op", parameter: "parameter tensor", input: "input", constant: "constant", output: "output",
      module: "module", update: "update" };
    const facts = [...counts].map(([kind, n]) => [plural(n, words[kind]).replace(/^\S+ /, ""), thousands(n)]);
    if (parameters) facts.push(["numbers learned", thousands(parameters)]);
    return [
      make("h2", {}, clean(data.title, 200) || "The graph"),
      data.caption ? make("p", {}, clean(data.caption, 2000)) : null,
      table(facts),
      make("p", { class: "hint" }, "Click a box to read about it. Click a module’s header, or double-click it, to fold or open it."),
      make("p", { class: "hint" }, make("kbd", {}, "/"), " searches, ", make("kbd", {}, "space"), " plays, ",
        make("kbd", {}, "?"), " lists the keys."),
    ];
  }

  module(id) {
    const { app } = this;
    const { graph, folding } = app;
    const cluster = graph.clusterOf(id);
    let ops = 0;
    for (const vertex of graph.within(id)) ops += graph.vertices[vertex].kind === "op" ? 1 : 0;
    const within = new Set(graph.within(id));
    const crossing = (lists, other) => {
      const seen = new Set();
      const found = [];
      for (const vertex of within) {
        for (const i of lists[vertex]) {
          const edge = graph.edges[i];
          if (edge.way === FLOWS.value && !within.has(edge[other]) && !seen.has(edge.array)) {
            seen.add(edge.array);
            found.push(edge);
          }
        }
      }
      return found;
    };
    const facts = [];
    if (cluster.path) facts.push(["path", clean(cluster.path, 300)]);
    if (cluster.parameters) facts.push(["parameters", thousands(cluster.parameters)]);
    facts.push(["ops", thousands(ops)]);
    if (cluster.count > 1) facts.push(["stands for", plural(cluster.count, "equal one")]);
    return [
      this.playing(),
      make("p", { class: "kind module" }, cluster.around || "module"),
      make("h2", {}, clean(clusterTitle(cluster), 400)),
      this.places(id),
      table(facts),
      this.buttons(id, make("button", { click: () => app.toggle(id) }, folding.isOpen(id) ? "fold" : "open")),
      this.arrays("takes", crossing(graph.incoming, "tail"), "tail"),
      this.arrays("gives", crossing(graph.outgoing, "head"), "head"),
      ...this.measured(id),
    ];
  }

  vertex(id) {
    const { app } = this;
    const { graph } = app;
    const vertex = graph.vertices[id];
    const facts = [];
    if (vertex.op && vertex.op !== vertex.title) facts.push(["op", clean(vertex.op, 200)]);
    if (vertex.value) facts.push(["holds", valueText(vertex.value)]);
    if (vertex.parameters) facts.push(["parameters", thousands(vertex.parameters)]);
    if (vertex.count > 1) facts.push(["stands for", plural(vertex.count, "equal one")]);
    if (vertex.line) facts.push(["line", make("code", {}, clean(vertex.line, 400))]);
    const flow = (lists) => lists[id].map((i) => graph.edges[i]).filter((edge) => edge.way === FLOWS.value);
    const numbers = app.data.values[id];
    const details = (vertex.details || []).filter((line) => line !== valueText(vertex.value));
    return [
      this.playing(),
      make("p", { class: `kind ${vertex.kind}` }, vertex.kind),
      make("h2", {}, clean(this.app.titleOf(id), 400)),
      this.places(id),
      table(facts),
      numbers ? section("numbers", make("pre", {}, clean2(numbers))) : null,
      this.buttons(id),
      this.arrays("takes", flow(graph.incoming), "tail"),
      this.arrays("gives", flow(graph.outgoing), "head"),
      this.mathematics(vertex),
      details.length ? section("details", make("ul", {}, ...details.slice(0, MOST_ENTRIES).map((line) => (
        make("li", {}, clean(line, 400)))))) : null,
      ...this.measured(id),
    ];
  }

  // What the present step of the walk does.
  playing() {
    const { app } = this;
    const { play, graph } = app;
    const { current } = play;
    if (!current) return null;
    const shown = [make("p", { class: "phase" }, `${current.phase}, step ${play.number()}`)];
    if (!graph.isCluster(current.id)) {
      const vertex = graph.vertices[current.id];
      const explained = graph.ops[vertex.op];
      if (current.phase === "forward") {
        if (explained) shown.push(make("p", { class: "formula" }, clean(explained.formula, 400)));
      } else {
        for (const i of graph.incoming[current.id]) {
          const edge = graph.edges[i];
          if (edge.way !== FLOWS.value) continue;
          const rule = ruleFor(explained, edge.argument);
          const to = clean(graph.vertices[edge.tail].title, 40);
          if (rule) shown.push(make("p", { class: "formula" }, `d ${clean(edge.argument || to, 40)} = ${clean(rule, 400)}`));
        }
        if (shown.length === 1) shown.push(make("p", {}, "hands its gradient to what it took"));
      }
    }
    return make("div", { class: `playing ${current.phase}` }, ...shown);
  }

  mathematics(vertex) {
    const explained = this.app.graph.ops[vertex.op];
    if (!explained) return null;
    const rules = Object.entries(explained.gradients || {}).slice(0, MOST_ENTRIES);
    return section("mathematics", make("p", { class: "formula" }, clean(explained.formula, 400)),
      ...rules.map(([name, rule]) => make("p", { class: "formula gradient" }, `d ${clean(name, 40)} = ${clean(rule, 400)}`)));
  }

  // The modules around, from outside in.
  places(id) {
    const { app } = this;
    const { graph } = app;
    const around = [];
    for (let at = graph.parent[id]; at !== graph.root; at = graph.parent[at]) around.unshift(at);
    if (!around.length) return null;
    return make("nav", { class: "places", "aria-label": "modules around it" }, ...around.flatMap((at, i) => [
      i ? " › " : null,
      make("button", { class: "link", click: () => app.select(at, { show: true }) },
        clean(graph.clusterOf(at).name || graph.clusterOf(at).type || "module", 40)),
    ]));
  }

  buttons(id, ...more) {
    const { app } = this;
    return make("div", { class: "buttons" },
      make("button", { id: "from-inputs", click: () => { app.chosen = id; app.lightPath(false); } }, "path from inputs"),
      make("button", { id: "to-outputs", click: () => { app.chosen = id; app.lightPath(true); } }, "path to outputs"), ...more);
  }

  arrays(title, edges, end) {
    if (!edges.length) return null;
    const { app } = this;
    const { vertices } = app.graph;
    const rows = edges.slice(0, MOST_ENTRIES).map((edge) => make("li", {},
      edge.argument && end === "tail" ? make("span", { class: "argument" }, `${clean(edge.argument, 30)} `) : null,
      make("button", { class: "link", click: () => this.go(edge[end]) }, clean(vertices[edge[end]].title, 40) || "·"),
      make("span", { class: "shape" }, ` ${edge.result === undefined ? "" : `[${edge.result}] `}${valueText(edge.value)}`)));
    const more = edges.length - rows.length;
    return section(title, make("ul", { class: "arrays" }, ...rows, more > 0 ? make("li", {}, `… and ${more} more`) : null));
  }

  go(id) {
    this.app.reveal(id);
    this.app.select(id, { show: true });
  }

  // Of each series: the number now, and all of them as a chart.
  measured(id) {
    const { paint } = this.app;
    return paint.all.map((series) => {
      const list = Array.from({ length: paint.steps }, (_, step) => paint.value(id, series, step));
      if (list.every((x) => x === null)) return null;
      const now = list[paint.step];
      return section(paint.name(series),
        make("p", { class: `measured${typeof now === "string" ? " bad" : ""}` }, numberText(now, series.unit)),
        paint.steps > 1 ? chart(list, paint.step, series.unit, paint.name(series)) : null);
    });
  }
}

// The rule of the input that an argument is, or is an element of.
function ruleFor(explained, argument) {
  const rules = (explained && explained.gradients) || {};
  return rules[argument] ?? rules[(argument || "").replace(/\[.*$/, "")];
}

// Several lines of numbers.
function clean2(text) {
  return String(text).split("\n").slice(0, 40).map((line) => clean(line, 200)).join("\n");
}

function table(facts) {
  return facts.length
    ? make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))
    : null;
}

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}
