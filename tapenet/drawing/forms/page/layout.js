// The layout of the whole: every open cluster is laid out on its own, from the inside out, and is a box in the one
// around it. What lies in a cluster does not depend on what is folded elsewhere, so after a fold only the clusters
// around it are laid out again.

const TITLE = 12, SMALL = 10, LABEL = 9.5; // sizes of type
const PAD = 12, HEAD = 22, MOST_LINES = 8;
const MOST_BESIDE = 3; // arrays from one box to another that have an arrow each
const MOST_ASIDE = 120; // what is moved further looks lost, and the arrow goes behind the name
const TURN = 48; // the room beside what goes on to the next repetition

class Layout {
  constructor(graph, folding, direction) {
    this.graph = graph;
    this.folding = folding;
    this.sideways = direction === "LR" || direction === "RL";
    this.levels = new Map(); // by cluster: how it was laid out
    this.sizes = new Map();
    const ids = graph.root + 1;
    for (const name of ["x", "y", "w", "h"]) this[name] = new Float64Array(ids);
    this.slot = new Int32Array(ids);
    this.update([]);
  }

  // Lay out anew after these clusters were opened or closed.
  update(changed) {
    const { graph, levels } = this;
    for (const id of changed) {
      for (let at = graph.parent[id]; at >= 0; at = graph.parent[at]) levels.delete(at);
    }
    const open = this.openClusters();
    const stale = open.filter((id) => !levels.has(id));
    this.edges = this.seenEdges();
    this.turns = this.edges.filter(({ way }) => way === FLOWS.carry);
    const pieces = this.pieces(new Set(stale));
    for (const id of stale.reverse()) levels.set(id, this.layOut(id, pieces.get(id)));
    this.position(open);
    this.route();
  }

  // The open clusters that are seen, from outside in.
  openClusters() {
    const { graph, folding } = this;
    const found = [graph.root];
    for (let at = 0; at < found.length; at++) {
      for (const id of graph.inside.get(found[at])) if (folding.isOpen(id)) found.push(id);
    }
    return found;
  }

  // The edges between what is seen. What brings the same array to the same place is one edge.
  seenEdges() {
    const { graph, folding: { stands } } = this;
    const found = new Map();
    graph.edges.forEach((edge, i) => {
      const tail = stands[edge.tail], head = stands[edge.head];
      if (tail === head) return;
      const key = `${edge.array} ${head} ${edge.way}`;
      const same = found.get(key);
      if (same) same.of.push(i);
      else found.set(key, { key, tail, head, array: edge.array, way: edge.way, first: edge, of: [i] });
    });
    return [...found.values()];
  }

  // What goes through a level on the way of an edge, from the tail's cluster out and into the head's.
  *way(edge) {
    const { parent, level } = this.graph;
    let from = edge.tail, to = edge.head;
    const inward = [];
    while (parent[from] !== parent[to]) {
      if (level[from] >= level[to]) {
        yield [parent[from], from, -1];
        from = parent[from];
      } else {
        inward.push([parent[to], -1, to]);
        to = parent[to];
      }
    }
    yield [parent[from], from, to];
    yield* inward.reverse();
  }

  pieces(wanted) {
    const found = new Map([...wanted].map((id) => [id, new Map()]));
    for (const edge of this.edges) {
      if (!edge.first.onward) continue;
      for (const [cluster, from, to] of this.way(edge)) {
        const level = found.get(cluster);
        if (!level) continue;
        const key = `${edge.array} ${from} ${to}`;
        const piece = level.get(key);
        if (!piece) level.set(key, { key, from, to, edge, latest: edge.first.tail });
      }
    }
    return found;
  }

  // The box of a vertex or of a closed cluster: its lines of text and its size.
  size(id) {
    let size = this.sizes.get(id);
    if (!size) this.sizes.set(id, (size = boxSize(this.graph, id)));
    return size;
  }

  layOut(cluster, pieces) {
    const { graph, folding, levels, slot, sideways } = this;
    const items = graph.inside.get(cluster);
    items.forEach((id, i) => { slot[id] = i; });
    const ports = new Map(); // by array, inward and outward: the item that stands for it at the border
    const beside = new Set(); // ports of parameters
    const port = (way, array, tail) => {
      const key = `${way} ${array}`;
      if (!ports.has(key)) ports.set(key, items.length + ports.size);
      if (graph.vertices[tail].kind === "parameter") beside.add(ports.get(key));
      return ports.get(key);
    };
    const edges = [];
    for (const piece of pieces.values()) {
      const { from, to, edge: { array, first } } = piece;
      const text = this.labelText({ first, way: FLOWS.value, arrays: 1 });
      const labelled = text !== "";
      const width = labelled ? measure(text, LABEL) : 0;
      edges.push({
        from: from < 0 ? port("in", array, first.tail) : slot[from], to: to < 0 ? port("out", array, first.tail) : slot[to],
        key: array, piece: piece.key, skip: Boolean(first.skip), tail: first.tail, main: false,
        beside: graph.vertices[first.tail].kind === "parameter",
        fromAt: this.portOffset(from, "out", array), toAt: this.portOffset(to, "in", array),
        label: labelled && from >= 0 && !folding.isOpen(from) ? (sideways ? width + 24 : 34) : 0, width,
      });
    }
    const drawn = edges.length;
    const placed = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
    // What has no values is put by its updates or, without any, by its gradients.
    const others = this.edges.filter(({ first, tail, head }) => (
      !first.onward && graph.parent[tail] === cluster && graph.parent[head] === cluster));
    for (const updates of [true, false]) {
      const found = [];
      for (const edge of others) {
        if ((edge.way === FLOWS.update) !== updates) continue;
        const id = placed.has(slot[edge.tail]) ? edge.head : edge.tail;
        if (placed.has(slot[id])) continue;
        found.push(slot[id]);
        edges.push({
          from: slot[id], to: slot[id === edge.tail ? edge.head : edge.tail], key: -1 - edges.length, tail: id, skip: false,
          beside: false, main: false, fromAt: 0, toAt: 0, label: 0,
        });
      }
      for (const i of found) placed.add(i);
    }
    const count = items.length + ports.size;
    const level = {
      count, edges, role: new Uint8Array(count), side: new Uint8Array(count).fill(1), pos: new Float64Array(count),
      fixed: new Uint8Array(count), left: new Float64Array(count), right: new Float64Array(count),
      half: new Float64Array(count), along: new Float64Array(count),
    };
    items.forEach((id, i) => {
      const open = folding.isOpen(id);
      const size = open ? levels.get(id) : this.size(id);
      const [across, along] = sideways ? [size.h, size.w] : [size.w, size.h];
      level.half[i] = level.left[i] = level.right[i] = across / 2;
      level.along[i] = along;
      level.fixed[i] = Number(open);
      const leaf = graph.isLeaf(id);
      level.role[i] = leaf ? LEAF : ITEM;
      if (leaf && graph.vertices[id].kind === "parameter") level.side[i] = 2;
      level.pos[i] = leaf ? graph.first[id] - graph.count : graph.first[id];
    });
    for (const [key, i] of ports) {
      level.role[i] = key.startsWith("in") ? IN : OUT;
      level.left[i] = level.right[i] = 3;
      if (beside.has(i)) level.side[i] = 2;
      level.pos[i] = (level.role[i] === IN ? -2 : 2) * graph.count + i;
    }
    for (const edge of edges) {
      if (!edge.label || sideways) continue;
      level.left[edge.from] = Math.max(level.left[edge.from], edge.width + 10);
    }
    markMain(graph, edges, level.role);
    return this.frame(cluster, items, ports, level, layoutLayers(level), drawn);
  }

  // How far what is in a cluster is moved to the right so that arrows come in beside its name.
  besideHead(cluster, ports, found, shift) {
    const most = headWidth(this.graph, cluster) + 2;
    let aside = 0;
    for (const [key, i] of ports) if (key.startsWith("in")) aside = Math.max(aside, most - found.middle[i] - shift);
    return aside <= MOST_ASIDE ? aside : 0;
  }

  // Where an array crosses the border of an open cluster, from its middle; 0 for other boxes.
  portOffset(id, way, array) {
    return id >= 0 && this.folding.isOpen(id) ? this.levels.get(id).ports.get(`${way} ${array}`) ?? 0 : 0;
  }

  // The level as a box: with its header, its places from the top left corner, and its ways.
  frame(cluster, items, ports, level, found, drawn) {
    const { graph, sideways } = this;
    const bare = cluster === graph.root;
    const head = bare ? 0 : HEAD;
    const side = bare ? 0 : PAD;
    const least = bare ? 0 : headWidth(graph, cluster);
    const [before, beside] = sideways ? [side, head + side / 2] : [head, side];
    const after = side / 2;
    const length = found.length + before + after;
    let breadth = found.breadth + beside + side + (this.turnsIn(cluster) ? TURN : 0);
    let [shiftAcross, shiftAlong] = [beside, before];
    const short = sideways ? 0 : Math.max(0, least - breadth);
    const aside = sideways || bare ? 0 : this.besideHead(cluster, ports, found, shiftAcross + short / 2);
    breadth += short + aside;
    shiftAcross += short / 2 + aside;
    const wide = sideways ? Math.max(length, least) : breadth;
    shiftAlong += sideways ? (wide - length) / 2 : 0;
    const [w, h] = sideways ? [wide, breadth] : [wide, length];
    const x = new Float64Array(items.length), y = new Float64Array(items.length);
    items.forEach((id, i) => {
      const across = found.middle[i] - level.half[i] + shiftAcross;
      const along = found.start[i] + shiftAlong;
      [x[i], y[i]] = sideways ? [along, across] : [across, along];
    });
    const offsets = new Map();
    for (const [key, i] of ports) offsets.set(key, found.middle[i] + shiftAcross - breadth / 2);
    const end = sideways ? w : h;
    const routes = new Map();
    level.edges.slice(0, drawn).forEach((edge, e) => {
      const points = found.routes[e];
      for (let k = 0; k < points.length; k += 2) {
        const across = points[k] + shiftAcross;
        const along = points[k + 1] + shiftAlong;
        [points[k], points[k + 1]] = sideways ? [along, across] : [across, along];
      }
      const along = sideways ? 0 : 1;
      if (level.role[edge.from] === IN) points[along] = 0;
      if (level.role[edge.to] === OUT) points[points.length - 2 + along] = end;
      routes.set(edge.piece, points);
    });
    return { w, h, items, x, y, ports: offsets, routes };
  }

  position(open) {
    const { graph, folding, levels } = this;
    this.seen = [];
    const root = levels.get(graph.root);
    [this.x[graph.root], this.y[graph.root], this.w[graph.root], this.h[graph.root]] = [0, 0, root.w, root.h];
    for (const cluster of open) {
      const level = levels.get(cluster);
      level.items.forEach((id, i) => {
        const size = folding.isOpen(id) ? levels.get(id) : this.size(id);
        this.x[id] = this.x[cluster] + level.x[i];
        this.y[id] = this.y[cluster] + level.y[i];
        this.w[id] = size.w;
        this.h[id] = size.h;
        this.seen.push(id);
      });
    }
  }

  route() {
    const { levels } = this;
    const there = new Map(); // the ways of values, which gradients go back along
    for (const edge of this.edges) {
      if (!edge.first.onward) continue;
      edge.points = [];
      for (const [cluster, from, to] of this.way(edge)) {
        const piece = levels.get(cluster).routes.get(`${edge.array} ${from} ${to}`);
        for (let k = 0; k < piece.length; k += 2) {
          edge.points.push(piece[k] + this.x[cluster], piece[k + 1] + this.y[cluster]);
        }
      }
      edge.points = withoutStops(edge.points);
      there.set(`${edge.tail} ${edge.head}`, edge);
    }
    for (const edge of this.turns) {
      edge.points = this.around(edge);
      there.set(`${edge.tail} ${edge.head}`, edge);
    }
    for (const edge of this.edges) {
      if (edge.points) continue;
      const forward = there.get(`${edge.head} ${edge.tail}`);
      edge.points = forward ? this.beside(edge, forward) : this.around(edge);
    }
    for (const edge of this.edges) edge.box = bounds(edge.points, edge.bow);
    this.bundle();
    this.label();
  }

  // More than a few arrays from one box to another are drawn as one arrow: the first has all of them, the others none.
  bundle() {
    const ways = new Map();
    for (const edge of this.edges) {
      const key = `${edge.tail} ${edge.head} ${edge.way}`;
      if (!ways.has(key)) ways.set(key, []);
      ways.get(key).push(edge);
    }
    for (const edges of ways.values()) {
      for (const edge of edges) edge.arrays = edge.first.arrays || 1;
      if (edges.length <= MOST_BESIDE) continue;
      const [first, ...others] = edges;
      for (const edge of others) {
        first.arrays += edge.arrays;
        first.of.push(...edge.of);
        edge.arrays = 0;
      }
    }
  }

  // What stands on the arrows: once for each array that leaves a box, where there is room for it.
  label() {
    const written = new Map(); // by tail: the arrays, and from where to where words stand
    for (const edge of this.edges) {
      edge.label = null;
      const text = this.labelText(edge);
      if (!text || !edge.arrays) continue;
      const label = this.labelAt(edge, text);
      const width = measure(text, LABEL);
      const [low, high] = this.sideways ? [label.y - LABEL, label.y] : [label.x - (label.start ? 0 : width), label.x];
      if (!written.has(edge.tail)) written.set(edge.tail, []);
      const others = written.get(edge.tail);
      if (others.some((other) => other.array === edge.array || (low < other.high && high > other.low))) continue;
      if (edge.way !== FLOWS.carry) others.push({ array: edge.array, low, high });
      edge.label = label;
    }
  }

  labelText({ first, way, arrays }) {
    const { vertices } = this.graph;
    if (way === FLOWS.carry) return "next";
    if (way !== FLOWS.value) return "";
    const { shapes } = this.graph;
    let fit = first.stretched && shapes === "edge" ? `→ ${first.stretched.join("×")}` : "";
    if ((vertices[first.tail].card || []).includes(fit)) fit = ""; // its box says it
    if (vertices[first.tail].value || vertices[first.head].value) return fit;
    return arrays > 1 ? `${thousands(arrays)} arrays` : shapes === "edge" ? `${valueText(first.value)} ${fit}`.trim() : "";
  }

  labelAt({ points, bow, first }, text) {
    const [x, y] = points;
    const leaf = this.graph.vertices[first.tail].value !== undefined; // stands to the right of what uses it
    if (bow && this.sideways) return { text, x: (x + points[2]) / 2, y: bow + 20, start: true };
    if (bow) return { text, x: bow + 11, y: (y + points[3]) / 2 + 3, start: true };
    return this.sideways ? { text, x: x + 6, y: y - 5, start: true } : { text, x: x + (leaf ? 6 : -6), y: y + 14, start: leaf };
  }

  // A way back, to the side of the way there.
  beside(edge, forward) {
    const found = turnedAround(forward.points);
    const across = this.sideways ? 1 : 0;
    edge.bow = forward.bow ? forward.bow + 7 : 0;
    for (let k = forward.bow ? 1 - across : across; k < found.length; k += 2) found[k] += forward.bow ? 5 : 7;
    return found;
  }

  // Whether something is handed from one repetition to the next in a cluster, but not within a cluster in it.
  turnsIn(cluster) {
    const { parent, level } = this.graph;
    return this.turns.some(({ tail, head }) => {
      let [a, b] = [parent[tail], parent[head]];
      while (a !== b) {
        if (level[a] >= level[b]) a = parent[a];
        else b = parent[b];
      }
      return a === cluster;
    });
  }

  // A way that no layout knows of: onward from end to end, or back in a bow.
  around(edge) {
    const { x, y, w, h, sideways } = this;
    const { tail, head } = edge;
    const middle = (id) => [x[id] + w[id] / 2, y[id] + h[id] / 2];
    const off = edge.way === FLOWS.carry ? 4 : -4; // so that two at one box are told apart
    const onward = sideways ? x[head] >= x[tail] + w[tail] : y[head] >= y[tail] + h[tail];
    edge.bow = onward ? 0 : this.clearance(tail, head);
    if (sideways) {
      return onward
        ? [x[tail] + w[tail], middle(tail)[1], x[head], middle(head)[1]]
        : [middle(tail)[0] + off, y[tail] + h[tail], middle(head)[0] + off, y[head] + h[head]];
    }
    return onward
      ? [middle(tail)[0], y[tail] + h[tail], middle(head)[0], y[head]]
      : [x[tail] + w[tail], middle(tail)[1] + off, x[head] + w[head], middle(head)[1] + off];
  }

  // How far out a bow must go to pass the boxes between, if they are few.
  clearance(tail, head) {
    const { graph, sideways } = this;
    const [across, breadth, along, length] = sideways ? [this.y, this.h, this.x, this.w] : [this.x, this.w, this.y, this.h];
    const [low, high] = [Math.min(along[tail], along[head]), Math.max(along[tail] + length[tail], along[head] + length[head])];
    let out = Math.max(across[tail] + breadth[tail], across[head] + breadth[head]) + 9;
    const between = [graph.parent[tail], graph.parent[head]].flatMap((cluster) => graph.inside.get(cluster));
    if (between.length > 400) return out;
    for (const id of between) {
      if (along[id] < high && along[id] + length[id] > low) out = Math.max(out, across[id] + breadth[id] + 9);
    }
    return out;
  }
}

// The input of each box that the picture is straight along: what the last op gave, else the first input, else a parameter,
// unless that only leaves the module.
function markMain(graph, edges, role) {
  const weighs = (edge) => ({ op: 2, module: 2, input: 1 })[graph.vertices[edge.tail].kind] || 0;
  const better = (a, b) => {
    const [p, q] = [weighs(a), weighs(b)];
    if (p !== q) return p > q;
    if (a.skip !== b.skip) return b.skip;
    return p === 2 ? a.tail > b.tail : a.tail < b.tail;
  };
  const best = new Map();
  for (const edge of edges) {
    const known = best.get(edge.to);
    if (!known || better(edge, known)) best.set(edge.to, edge);
  }
  for (const edge of best.values()) edge.main = role[edge.to] !== OUT || weighs(edge) > 0;
}

function bounds(points, bow = 0) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = 0; k < points.length; k += 2) {
    box[0] = Math.min(box[0], points[k]);
    box[1] = Math.min(box[1], points[k + 1]);
    box[2] = Math.max(box[2], points[k]);
    box[3] = Math.max(box[3], points[k + 1]);
  }
  if (bow) [box[2], box[3]] = [Math.max(box[2], bow), Math.max(box[3], bow)];
  return box;
}

function boxSize(graph, id) {
  const lines = graph.isCluster(id) ? clusterLines(graph, id) : vertexLines(graph.vertices[id]);
  let w = 26;
  let h = 9;
  for (const line of lines) {
    w = Math.max(w, measure(line.text, line.small ? SMALL : TITLE, line.bold ? 600 : 400) + 18);
    h += line.small ? 13 : 15;
  }
  if (graph.isCluster(id)) w += 14; // the chevron
  return { w: Math.ceil(w), h, lines };
}

function vertexLines(vertex) {
  const titles = vertex.title.split("\n");
  const lines = titles.slice(0, MOST_LINES).map((text) => ({ text: clean(text) || "·", small: false }));
  if (titles.length > MOST_LINES) lines.push({ text: `… and ${titles.length - MOST_LINES} more`, small: true });
  for (const text of vertex.lines.slice(titles.length)) lines.push({ text: clean(text), small: true });
  if (vertex.kind === "module") lines[0].bold = true;
  return lines;
}

function clusterLines(graph, id) {
  const cluster = graph.clusterOf(id);
  const lines = [{ text: clean(clusterTitle(cluster)), small: false, bold: true }];
  for (const line of cluster.lines.slice(1)) lines.push({ text: clean(line), small: true });
  if (lines.length === 1) lines.push({ text: plural(graph.members[id], "box", "boxes"), small: true });
  return lines;
}

function headWidth(graph, id) {
  const count = badge(graph, id);
  return measure(clean(clusterHeading(graph.clusterOf(id)), 120), SMALL + 1, 600) + 40 + (count ? measure(count, SMALL, 600) + 16 : 0);
}
