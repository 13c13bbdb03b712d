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
        words.push(`${clusterTitle(cluster)}\n${cluster.path || ""}`.toLowerCase());
      } else {
        const vertex = graph.vertices[id];
        words.push([vertex.title, vertex.op, vertex.line, valueText(vertex.value), ...(vertex.details || [])]
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
    if (sought) {
      this.words ||= this.haystack();
      this.words.forEach((words, id) => {
        if (!words.includes(sought)) return;
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
