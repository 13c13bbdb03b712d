// The walk through the forward pass in the order it ran, then through the backward pass in reverse.

class Play {
  constructor(app) {
    this.app = app;
    this.steps = [];
    this.at = -1;
    this.timer = 0;
    this.phase = "";
    this.now = null;
    this.done = new Set();
    this.returned = new Set();
    const { graph } = app;
    this.backward = graph.edges.some((edge) => edge.way === WAYS.gradient);
    find("walk").hidden = !graph.vertices.some(({ kind }) => kind === "op" || kind === "module");
    find("play").addEventListener("click", () => this.run());
    find("next").addEventListener("click", () => this.move(1));
    find("previous").addEventListener("click", () => this.move(-1));
    find("speed").addEventListener("change", () => { if (this.timer) this.tick(); });
    this.list();
  }

  // What runs, one after the other: ops; a closed module, and its way back, is one step.
  list() {
    const { graph, folding } = this.app;
    const forward = [];
    for (let vertex = 0; vertex < graph.count; vertex++) {
      const { kind } = graph.vertices[vertex];
      if (kind !== "op" && kind !== "module") continue;
      const id = folding.stands[vertex];
      const last = forward[forward.length - 1];
      if (last && last.id === id) last.vertices.push(vertex);
      else forward.push({ id, vertices: [vertex], phase: "forward" });
    }
    const returns = new Set();
    for (const edge of graph.edges) if (edge.way === WAYS.gradient) returns.add(edge.tail);
    const backward = forward.filter((step) => step.vertices.some((vertex) => returns.has(vertex)))
      .map((step) => ({ ...step, phase: "backward" })).reverse();
    this.steps = [...forward, ...backward];
  }

  // After a fold: stay at the step that holds the same op.
  refold() {
    const current = this.steps[this.at];
    this.list();
    if (!current) return;
    this.at = this.steps.findIndex((step) => step.phase === current.phase && step.vertices.includes(current.vertices[0]));
    this.settle();
  }

  get current() {
    return this.steps[this.at] || null;
  }

  settle() {
    const { current } = this;
    this.phase = current ? current.phase : "";
    this.now = current ? current.id : null;
    this.done = new Set();
    this.returned = new Set();
    for (const step of this.steps.slice(0, Math.max(0, this.at))) {
      for (let id = step.id; id >= 0; id = this.app.graph.parent[id]) {
        (step.phase === "forward" ? this.done : this.returned).add(id);
        if (step.phase === "backward" && id === step.id) break;
      }
    }
    if (current) for (let id = this.app.graph.parent[current.id]; id >= 0; id = this.app.graph.parent[id]) this.done.add(id);
    find("walk-label").textContent = current ? `${current.phase} ${this.number()}` : "";
    this.app.stage?.classList.toggle("returning", this.phase === "backward");
  }

  number() {
    const same = this.steps.filter((step) => step.phase === this.phase);
    return `${thousands(same.indexOf(this.current) + 1)} of ${thousands(same.length)}`;
  }

  // Whether an edge carries what the present step takes, or in the backward pass what it gives.
  flows(edge) {
    if (this.now === null) return false;
    if (this.phase === "forward") return edge.way === WAYS.value && edge.head === this.now;
    return edge.way === WAYS.gradient && edge.tail === this.now;
  }

  move(step) {
    const to = this.at + step;
    if (to < 0 || to >= this.steps.length) return this.pause();
    this.app.chosen = null;
    this.app.hot = this.app.hotVertices = null;
    this.at = to;
    this.settle();
    const { id } = this.current;
    this.app.view.decorate();
    this.app.bringIntoView(id);
    this.app.panel.show();
    this.app.announce(`${this.phase} ${this.number()}: ${this.app.spoken(id)}`);
    return undefined;
  }

  run() {
    if (this.timer) return this.pause();
    if (this.at >= this.steps.length - 1) this.at = -1;
    label(find("play"), "pause", "pause");
    this.move(1);
    this.tick();
    return undefined;
  }

  tick() {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.move(1), 1200 / Number(find("speed").value));
  }

  pause() {
    clearInterval(this.timer);
    this.timer = 0;
    label(find("play"), "play", "play");
  }

  // Stop, and show the whole again.
  leave() {
    this.pause();
    this.at = -1;
    this.settle();
  }
}

// A button's sign and what it is called.
function label(button, sign, title) {
  button.dataset.sign = sign;
  button.setAttribute("aria-label", title);
  button.title = title;
}
