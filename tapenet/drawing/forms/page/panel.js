// The words beside the picture: of the whole, of what is selected, or of the step that plays.

const MOST_ENTRIES = 14;

class Panel {
  constructor(app) {
    this.app = app;
    this.root = find("panel");
  }

  show() {
    const { app, root } = this;
    const inBox = app.layout.guests.get(app.selected)?.includes(app.chosen); // it is a line there
    const id = app.play.now ?? (inBox ? app.chosen : app.selected);
    const content = id === null ? this.whole() : app.graph.isCluster(id) ? this.module(id) : this.vertex(id);
    root.replaceChildren(...content.filter(Boolean));
  }

  whole() {
    const { app } = this;
    const { graph, data } = app;
    return [
      make("h2", {}, clean(data.title, 200) || "The graph"),
      data.caption ? make("p", {}, clean(data.caption, 2000)) : null,
      ...this.progress(),
      table(totals(graph)),
      ...this.marked(),
      make("p", { class: "hint" }, "Click a box to read about it. Click a module’s header, or double-click it, to fold or open it."),
      make("p", { class: "hint" }, make("kbd", {}, "/"), " searches, ", make("kbd", {}, "space"), " plays, ",
        make("kbd", {}, "?"), " lists the keys."),
    ];
  }

  // How far a training that goes on has come, and the curves of what it says.
  progress() {
    const { progress, ended } = this.app;
    if (!progress) return [];
    const { count, pace, curves } = progress;
    const state = ended ? ", ended" : Number.isFinite(pace) ? `, ${numberText(pace, "s")} each` : ", waiting";
    return [
      make("p", {}, `${plural(count, "step")}${state}`),
      ...Object.entries(curves).map(([name, list]) => section(clean(name, 60),
        make("p", { class: "measured" }, numberText(list[list.length - 1])),
        chart(list, list.length - 1, "", clean(name, 60)))),
    ];
  }

  // What is to be looked at: the marked boxes, each with the reason; a module that is added or removed as one.
  marked() {
    const { app } = this;
    const { graph } = app;
    const found = new Map(Object.keys(app.data.signs).map((sign) => [sign, []]));
    for (let id = 0; id < graph.root; id++) {
      const sign = app.ownSign(id);
      const whole = ["added", "removed"].includes(sign);
      const said = whole ? app.ownSign(graph.parent[id]) === sign : graph.isCluster(id);
      if (sign && !said) found.get(sign).push(id);
    }
    return [...found].filter(([, ids]) => ids.length).map(([sign, ids]) => {
      const rows = ids.slice(0, MOST_ENTRIES).map((id) => make("li", {},
        make("button", { class: "link", click: () => this.go(id) }, clean(this.fullName(id), 60)),
        make("span", { class: "reason" }, app.reason(id) ? ` – ${clean(app.reason(id), 200)}` : "")));
      const more = ids.length - rows.length;
      const rest = more > 0 ? make("li", { class: "reason" }, `… and ${thousands(more)} more`) : null;
      return section(app.data.signs[sign], make("ul", { class: "marked" }, ...rows, rest));
    });
  }

  // Of a parameter with its path, of others with the module they are in.
  fullName(id) {
    const { app } = this;
    const { graph } = app;
    const title = app.titleOf(id);
    const around = graph.parent[id] === graph.root ? {} : graph.clusterOf(graph.parent[id]);
    if (graph.isCluster(id) || !around.path || around.around !== "module") return title;
    return graph.vertices[id].kind === "parameter" ? `${around.path}.${title}` : `${title}, in ${around.path}`;
  }

  // The sign of a box in words.
  sign(id) {
    const { app } = this;
    const sign = app.signs[id];
    if (!sign) return null;
    const reason = clean(app.reason(id), 400);
    const word = `${app.data.signs[sign]}${app.ownSign(id) ? "" : ", in it"}`;
    const text = sign === "changed" && reason ? `${word}: ${reason}` : reason || word; // the other reasons say what is wrong
    return make("p", { class: `sign ${sign}` }, text);
  }

  module(id) {
    const { app } = this;
    const { graph, folding } = app;
    const cluster = graph.clusterOf(id);
    const within = new Set(graph.within(id));
    const crossing = (lists, other) => {
      const seen = new Set();
      const found = [];
      for (const vertex of within) {
        for (const i of lists[vertex]) {
          const edge = graph.edges[i];
          if (edge.way === WAYS.value && !within.has(edge[other]) && !seen.has(edge.array)) {
            seen.add(edge.array);
            found.push(edge);
          }
        }
      }
      return found;
    };
    const facts = [];
    if (cluster.path && cluster.around === "module") facts.push(["path", clean(cluster.path, 300)]);
    if (cluster.around === "kernel") facts.push(["runs", clean(cluster.path.replace(/^kernel \d+, /, ""), 300)]);
    if (cluster.count > 1) {
      facts.push(["stands for", `${plural(cluster.count, "equal one")}${cluster.parallel ? ", side by side" : ", one after the other"}`]);
    }
    const inAll = cluster.count > 1 ? " in all" : "";
    if (cluster.parameters) facts.push(["parameters", `${thousands(cluster.parameters)}${inAll}`]);
    const ops = [...within].map((i) => graph.vertices[i]).filter(({ kind }) => kind === "op");
    facts.push(["ops", `${thousands(ops.reduce((sum, { count }) => sum + count, 0))}${inAll}`]);
    return [
      this.playing(),
      make("p", { class: "kind module" }, cluster.around),
      make("h2", {}, clean(clusterTitle(cluster), 400)),
      this.sign(id),
      this.places(id),
      table(facts),
      this.buttons(id, make("button", { click: () => app.toggle(id) }, folding.isOpen(id) ? "fold" : "open")),
      this.guests(id),
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
    if (vertex.parameters) facts.push(["parameters", `${thousands(vertex.parameters)}${vertex.count > 1 && vertex.kind === "parameter" ? " each" : ""}`]);
    if (vertex.count > 1) facts.push(["stands for", plural(vertex.count, "equal one")]);
    if (vertex.line) facts.push(["line", make("code", {}, clean(vertex.line, 400))]);
    const flow = (lists) => lists[id].map((i) => graph.edges[i]).filter((edge) => edge.way === WAYS.value);
    const phase = app.play.now === id ? app.play.phase : "";
    const said = [valueText(vertex.value), vertex.line, app.reason(id)];
    const details = vertex.details.filter((line) => !said.includes(line));
    return [
      this.playing(),
      make("p", { class: `kind ${vertex.kind}` }, vertex.kind === "module" ? "folded" : vertex.kind),
      make("h2", {}, clean(this.app.titleOf(id), 400)),
      this.sign(id),
      this.places(id),
      table(facts),
      phase === "forward" ? null : this.numbers("numbers", app.data.values[id]), // which the step tells above
      phase ? null : this.numbers("gradient", app.data.gradients[id]),
      this.buttons(id),
      this.guests(id),
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
    const shown = graph.isCluster(current.id) ? [] : current.phase === "forward" ? this.forward(current.id) : this.backward(current.id);
    return make("div", { class: `playing ${current.phase}` },
      make("p", { class: "phase" }, `${current.phase}, step ${play.number()}`), ...shown);
  }

  // The formula and what comes of it.
  forward(id) {
    const { graph, data } = this.app;
    const explained = graph.ops[graph.vertices[id].op];
    return [explained ? make("p", { class: "formula" }, clean(explained.formula, 400)) : null, numbersText(data.values[id])];
  }

  // The gradient that comes in, g, and of each input the rule that makes one of it, with what comes of that.
  backward(id) {
    const { graph, data } = this.app;
    const explained = graph.ops[graph.vertices[id].op];
    const shown = data.gradients[id] === undefined ? [] : [make("p", {}, "g ="), numbersText(data.gradients[id])];
    const arrays = (lists, at) => lists[at].map((i) => graph.edges[i]).filter((edge) => edge.way === WAYS.value);
    let rules = 0;
    for (const { tail, argument } of arrays(graph.incoming, id)) {
      const rule = ruleFor(explained, argument);
      if (!rule) continue;
      rules += 1;
      shown.push(make("p", { class: "formula" }, `d ${clean(argument || graph.vertices[tail].title, 40)} = ${clean(rule, 400)}`));
      // The gradient by what is used elsewhere too is a sum: not what comes of this rule.
      if (arrays(graph.outgoing, tail).length === 1) shown.push(numbersText(data.gradients[tail]));
    }
    return rules ? shown : [...shown, make("p", {}, "hands its gradient to what it took")];
  }

  numbers(title, text) {
    return text === undefined ? null : section(title, numbersText(text));
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

  // What stands in a box below its name, and is a box of its own elsewhere.
  guests(id) {
    const ids = this.app.layout.guests.get(id) || [];
    const link = (guest) => make("button", { class: "link", click: () => this.go(guest) }, clean(this.app.titleOf(guest), 60));
    return ids.length ? section("then", make("ul", {}, ...ids.map((guest) => make("li", {}, link(guest))))) : null;
  }

  arrays(title, edges, end) {
    if (!edges.length) return null;
    const { app } = this;
    const { vertices } = app.graph;
    const rows = edges.slice(0, MOST_ENTRIES).map((edge) => make("li", {},
      edge.argument && end === "tail" ? make("span", { class: "argument" }, `${clean(edge.argument, 30)} `) : null,
      make("button", { class: "link", click: () => this.go(edge[end]) }, clean(vertices[edge[end]].title, 40) || "·"),
      make("span", { class: "shape" }, ` ${edge.result === null ? "" : `[${edge.result}] `}${valueText(edge.value)}`)));
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

// Several lines of numbers, if there are any.
function numbersText(text) {
  if (text === undefined) return null;
  return make("pre", {}, String(text).split("\n").slice(0, 40).map((line) => clean(line, 200)).join("\n"));
}

// How much there is of what, whatever is drawn once for many.
function totals({ vertices }) {
  const words = {
    op: ["op", "ops"], parameter: ["parameter tensor", "parameter tensors"], input: ["input", "inputs"],
    constant: ["constant", "constants"], output: ["output", "outputs"], module: ["folded box", "folded boxes"],
    update: ["new value", "new values"],
  };
  const counts = new Map();
  const optimizers = new Set();
  let learned = 0;
  for (const { kind, title, value, count, parameters, training } of vertices) {
    if (training && !/^(gradient|←)/.test(training)) optimizers.add(training.split(" ")[0]);
    if (kind === "update" && !value) optimizers.add(title.split("\n")[0]);
    else if (kind !== "parameter" || parameters) counts.set(kind, (counts.get(kind) || 0) + (kind === "module" ? 1 : count));
    learned += kind === "parameter" ? count * parameters : parameters;
  }
  const facts = [...counts].map(([kind, n]) => [words[kind][n === 1 ? 0 : 1], thousands(n)]);
  if (learned) facts.push(["numbers learned", thousands(learned)]);
  if (optimizers.size) facts.push(["updated by", clean([...optimizers].join(", "), 80)]);
  return facts;
}

function table(facts) {
  return facts.length
    ? make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))
    : null;
}

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}
