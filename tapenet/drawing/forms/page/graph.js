// The drawing as the page works with it: ids, parents, and which array goes where.
//
// An id is the position of a vertex, or the number of vertices plus the position of a cluster; the root, around
// everything, comes last.

const WAYS = { value: 0, gradient: 1, update: 2, carry: 3, order: 4, exchange: 5 };

// The drawing as Python has it. What is left out of the data has its default.
function drawingOf({ vertices, edges, clusters, shapes = "edge" }) {
  const known = (type, value) => (type === "value" && value ? new Value(...value) : value);
  const made = (Type) => (data) => new Type(...Type.fields.map((name) => known(name, data[name])));
  return new Drawing(vertices.map(made(Vertex)), edges.map(made(Edge)), clusters.map(made(Cluster)), new $Dict(), shapes);
}

function makeGraph(data) {
  const drawing = drawingOf(data);
  const { vertices, clusters, edges } = drawing;
  const count = vertices.length;
  const root = count + clusters.length;
  const parent = new Int32Array(root + 1).fill(root);
  const level = new Int32Array(root + 1);
  parent[root] = -1;
  clusters.forEach((cluster, i) => {
    if (cluster.parent !== null) parent[count + i] = count + cluster.parent;
    level[count + i] = level[parent[count + i]] + 1;
  });
  vertices.forEach((vertex, i) => {
    if (vertex.cluster !== null) parent[i] = count + vertex.cluster;
    level[i] = level[parent[i]] + 1;
  });

  // What a program writes at its end is no optimizer's step, which stands above what it changes.
  const written = new Set(edges.filter((e) => e.flow === "update" && vertices[e.head].kind === "update").map((e) => e.head));

  // Where an id comes in the order of creation: a cluster with its first op.
  const first = new Float64Array(root + 1).fill(Infinity);
  const members = new Int32Array(root + 1); // how many vertices are in it, at any depth
  for (let i = 0; i < count; i++) {
    first[i] = i;
    const weighs = $in(vertices[i].kind, LEAVES) && !written.has(i) ? i + count : i; // leaves do not say when a module ran
    for (let at = parent[i]; at >= 0; at = parent[at]) {
      first[at] = Math.min(first[at], weighs);
      members[at]++;
    }
  }
  const inside = new Map([[root, []]]);
  for (let id = 0; id < root; id++) {
    if (id >= count) inside.set(id, inside.get(id) || []);
    const list = inside.get(parent[id]);
    if (list) list.push(id);
    else inside.set(parent[id], [id]);
  }
  for (const list of inside.values()) list.sort((a, b) => first[a] - first[b] || a - b);

  const arrays = new Map(); // which array an edge carries: one number for each result of each vertex
  const flat = edges.map((edge) => {
    const key = `${edge.tail}:${edge.result ?? ""}`;
    if (!arrays.has(key)) arrays.set(key, arrays.size);
    const way = WAYS[edge.flow];
    return { ...edge, array: arrays.get(key), way, onward: way === WAYS.value || written.has(edge.head) };
  });
  const incoming = Array.from({ length: count }, () => []);
  const outgoing = Array.from({ length: count }, () => []);
  flat.forEach((edge, i) => {
    incoming[edge.head].push(i);
    outgoing[edge.tail].push(i);
  });
  return {
    drawing, vertices, clusters, ops: data.ops || {}, edges: flat, count, root, parent, level, first, members, inside, incoming, outgoing,
    isCluster: (id) => id >= count,
    clusterOf: (id) => clusters[id - count],
    *within(start) { // the vertices in a cluster, or a vertex itself
      const pending = [start];
      while (pending.length) {
        const at = pending.pop();
        if (at < count) yield at;
        else for (const id of inside.get(at)) pending.push(id);
      }
    },
  };
}

// Which clusters are open, and so what stands for each vertex.
class Folding {
  constructor(graph, open) {
    this.graph = graph;
    this.open = new Uint8Array(graph.root + 1);
    this.open[graph.root] = 1;
    for (const i of open) this.open[graph.count + i] = 1;
    this.stands = new Int32Array(graph.root + 1);
    this.settle();
  }

  // Of each id: itself where it can be seen, else the outermost closed cluster around it.
  settle() {
    const { graph, stands, open } = this;
    stands[graph.root] = graph.root;
    const shut = (id) => {
      const above = graph.parent[id];
      return above !== graph.root && (stands[above] !== above || !open[above]) ? stands[above] : id;
    };
    for (let id = graph.count; id < graph.root; id++) stands[id] = shut(id);
    for (let id = 0; id < graph.count; id++) stands[id] = shut(id);
  }

  isOpen(id) {
    return this.graph.isCluster(id) && this.open[id] === 1;
  }

  seen(id) {
    return this.stands[id] === id;
  }

  // Open or close clusters; says whether any of them changed.
  set(ids, open) {
    const changed = ids.filter((id) => this.open[id] !== Number(open));
    for (const id of changed) this.open[id] = Number(open);
    if (changed.length) this.settle();
    return changed.length > 0;
  }

  // The closed clusters around an id, which must open for it to be seen.
  around(id) {
    const found = [];
    for (let at = this.graph.parent[id]; at !== this.graph.root && at >= 0; at = this.graph.parent[at]) {
      if (!this.open[at]) found.push(at);
    }
    return found;
  }
}
