// Finding boxes by their words.

class Search {
  constructor(app) {
    this.app = app;
    this.matches = new Set();
    this.nested = new Map(); // of each cluster: how many matches are in it
    this.list = [];
    this.at = -1;
    this.current = null;
    this.words = null;
    this.input = find("search");
    this.count = find("found");
    this.input.addEventListener("input", () => this.run());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.next(event.shiftKey ? -1 : 1);
      } else if (event.key === "Escape") {
        this.clear();
        this.input.blur();
      }
    });
  }

  // What each box is found by, in small letters.
  haystack() {
    const { graph } = this.app;
    const words = [];
    for (let id = 0; id < graph.root; id++) {
      if (graph.isCluster(id)) {
        const cluster = graph.clusterOf(id);
        words.push(`${clusterTitle(cluster)}\n${cluster.path}`.toLowerCase());
      } else {
        const vertex = graph.vertices[id];
        const around = graph.parent[id] === graph.root ? {} : graph.clusterOf(graph.parent[id]);
        const path = around.path && around.around === "module" ? `${around.path}.${vertex.title}` : "";
        const given = graph.outgoing[id].map((i) => graph.edges[i]).filter((edge) => edge.way === WAYS.value);
        const values = [vertex.value, ...given.map((edge) => edge.value)].map(valueText);
        words.push([...new Set([vertex.title, vertex.op, vertex.line, path, ...values, ...vertex.card, ...vertex.details])]
          .filter(Boolean).join("\n").toLowerCase());
      }
    }
    return words;
  }

  run() {
    const { app } = this;
    const { graph } = app;
    const sought = this.input.value.trim().toLowerCase();
    this.matches = new Set();
    this.nested = new Map();
    this.at = -1;
    this.current = null;
    const inRange = ranged(sought);
    if (sought) {
      this.words ||= this.haystack();
      this.words.forEach((words, id) => {
        if (!words.includes(sought) && !(inRange && words.includes("–") && inRange(words))) return;
        this.matches.add(id);
        for (let at = graph.parent[id]; at !== graph.root; at = graph.parent[at]) {
          this.nested.set(at, (this.nested.get(at) || 0) + 1);
        }
      });
    }
    this.list = [...this.matches].sort((a, b) => graph.first[a] - graph.first[b] || b - a);
    this.tell();
    app.view.decorate();
  }

  tell() {
    const { length } = this.list;
    const text = !this.input.value.trim() ? "" : this.at < 0 ? `${thousands(length)} found` : `${this.at + 1} of ${thousands(length)}`;
    this.count.textContent = text;
  }

  // Go to the next match, opening what is folded around it.
  next(step) {
    if (!this.list.length) return;
    this.at = (this.at + step + this.list.length) % this.list.length;
    if (this.at < 0) this.at = 0;
    this.current = this.list[this.at];
    this.app.reveal(this.current);
    this.app.select(this.current, { show: true });
    this.tell();
  }

  clear() {
    if (!this.input.value) return;
    this.input.value = "";
    this.run();
  }
}

// Finds "blocks.3.attn" in "blocks.0–11.attn": says of a text whether it holds what is sought, with a range in the place
// of a number that lies in it. null if no number is sought.
function ranged(sought) {
  if (!/\d/.test(sought)) return null;
  const pattern = sought.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\d+/g, "($&|\\d+–\\d+)");
  const sourceOf = new RegExp(pattern, "g");
  const numbers = sought.match(/\d+/g).map(Number);
  return (words) => [...words.matchAll(sourceOf)].some((found) => numbers.every((n, i) => {
    const [low, high = low] = found[i + 1].split("–").map(Number);
    return low <= n && n <= high;
  }));
}
