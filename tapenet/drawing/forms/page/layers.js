// The layout of one level: boxes in layers, arrows from each layer to later ones.
//
// The steps are those of Sugiyama, Tagawa and Toda: layers, order within them, then coordinates. "Along" is the way
// arrows go, "across" is the other one. Nothing recurses; all steps but the sorting are linear in boxes and bends. The
// layers are found here; `order.js` and `place.js` do the rest.

const ITEM = 0, LEAF = 1, IN = 2, OUT = 3, BEND = 4;
const SPINE = 1e6, BUNDLE = 100, PLAIN = 1; // how much a segment wants to be straight
const GAP = 20, BEND_GAP = 12, LAYER_GAP = 24, PORT_GAP = 6;
const MOST_BENDS = 40000, MOST_POINTS = 300000;

// level: {count, role, pos, side, left, right, half, along, fixed, edges: [{from, to, key, main, beside, fromAt, toAt, label}]}:
// `left` and `right` is what a box takes up on both sides of its middle, label included, `half` is half of the box
// itself, `fixed` says that edges end at exactly fromAt, toAt from the middle, `key` which array an edge carries,
// `label` how much room its text needs along,
// `side` 2 what rather stands on the right, as parameters do.
// Gives {middle, start, breadth, length, routes: of each edge its points (across, along, across, along, ...)}.
function layoutLayers(level) {
  const topological = orient(level);
  const rank = rankItems(level, topological);
  const net = makeNet(level, rank);
  orderLayers(net);
  return placeAlong(net, placeAcross(net));
}

// Lists by key, as two typed arrays: the entries of k are list[start[k]] ... list[start[k + 1] - 1].
function grouped(count, keys) {
  const start = new Int32Array(count + 1);
  for (const key of keys) start[key + 1]++;
  for (let k = 0; k < count; k++) start[k + 1] += start[k];
  const next = start.slice();
  const list = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) list[next[keys[i]]++] = i;
  return { start, list };
}

// An order in which every edge goes onward, once those that close a circle are turned around.
function orient(level) {
  const { count, edges, pos } = level;
  const out = grouped(count, edges.map((edge) => edge.from));
  const waiting = new Int32Array(count);
  for (const edge of edges) waiting[edge.to]++;
  const byAge = Array.from({ length: count }, (_, i) => i).sort((a, b) => pos[a] - pos[b] || a - b);
  const order = new Int32Array(count);
  const place = new Int32Array(count).fill(-1);
  let end = 0;
  const take = (i) => { place[i] = end; order[end++] = i; };
  for (const i of byAge) if (!waiting[i]) take(i);
  for (let at = 0, oldest = 0; at < count; at++) {
    if (at === end) { // a circle: cut it before its oldest box
      while (place[byAge[oldest]] >= 0) oldest++;
      take(byAge[oldest]);
    }
    const i = order[at];
    for (let k = out.start[i]; k < out.start[i + 1]; k++) {
      const to = edges[out.list[k]].to;
      if (--waiting[to] === 0 && place[to] < 0) take(to);
    }
  }
  for (const edge of edges) {
    edge.turned = place[edge.from] > place[edge.to];
    edge.upper = edge.turned ? edge.to : edge.from;
    edge.lower = edge.turned ? edge.from : edge.to;
  }
  return order;
}

// The layer of each box: after all that it uses, but what starts something stands right before its use.
function rankItems(level, order) {
  const { count, edges, role } = level;
  const rank = new Int32Array(count);
  const free = new Uint8Array(count).fill(1); // depends on nothing that is fixed to the top
  const out = grouped(count, edges.map((edge) => edge.upper));
  const into = new Int32Array(count);
  for (const edge of edges) into[edge.lower]++;
  for (const i of order) {
    if (role[i] === IN) free[i] = 0;
    for (let k = out.start[i]; k < out.start[i + 1]; k++) {
      const to = edges[out.list[k]].lower;
      rank[to] = Math.max(rank[to], rank[i] + 1);
      if (!free[i]) free[to] = 0;
    }
  }
  let last = 0;
  for (let i = 0; i < count; i++) if (role[i] !== OUT) last = Math.max(last, rank[i]);
  for (let i = 0; i < count; i++) if (role[i] === OUT) rank[i] = last + 1;
  for (let at = count - 1; at >= 0; at--) {
    const i = order[at];
    const uses = out.start[i + 1] - out.start[i];
    if (role[i] === IN || !uses || !(free[i] || uses > into[i])) continue;
    let nearest = Infinity;
    for (let k = out.start[i]; k < out.start[i + 1]; k++) nearest = Math.min(nearest, rank[edges[out.list[k]].lower]);
    rank[i] = Math.max(rank[i], nearest - 1);
  }
  const used = [...new Set(rank)].sort((a, b) => a - b);
  const dense = new Map(used.map((r, i) => [r, i]));
  return rank.map((r) => dense.get(r));
}

// Boxes and bends in layers, joined by segments from one layer to the next. Edges that bring the same array from
// the same box share their bends, as a cable that wires leave one by one.
function makeNet(level, rank) {
  const { count, edges, role, pos } = level;
  const chains = new Map();
  edges.forEach((edge, i) => {
    const name = edge.turned ? `turned ${i}` : `${edge.upper} ${edge.key}`;
    let chain = chains.get(name);
    if (!chain) chains.set(name, (chain = { from: edge.upper, length: 0, main: false, bends: null, edges: [] }));
    const span = rank[edge.lower] - rank[edge.upper] - 1;
    chain.length = Math.max(chain.length, span);
    chain.main ||= edge.main && span > 0;
    chain.edges.push(edge);
  });
  const limit = Math.min( // edges longer than this go straight, over whatever lies between
    longest([...chains.values()].map((chain) => chain.length), MOST_BENDS),
    longest(edges.map((edge) => rank[edge.lower] - rank[edge.upper] - 1), MOST_POINTS),
  );
  const net = {
    level, chains: [], layerOf: Array.from(rank), role: Array.from(role), pos: Array.from(pos), side: [], left: [], right: [],
    upper: [], lower: [], weight: [], upperAt: [], lowerAt: [], label: [],
  };
  for (let i = 0; i < count; i++) {
    net.left.push(level.left[i]);
    net.right.push(level.right[i]);
    net.side.push(level.side[i]);
  }
  const join = (upper, lower, weight, upperAt, lowerAt, label) => {
    net.upper.push(upper);
    net.lower.push(lower);
    net.weight.push(weight);
    net.upperAt.push(upperAt);
    net.lowerAt.push(lowerAt);
    net.label.push(label);
  };
  for (const chain of chains.values()) {
    chain.bends = [];
    const spans = chain.edges.map((edge) => rank[edge.lower] - rank[edge.upper] - 1);
    const length = spans.reduce((most, span) => (span <= limit ? Math.max(most, span) : most), 0);
    for (let k = 0; k < length; k++) {
      const bend = net.layerOf.length;
      net.layerOf.push(rank[chain.from] + 1 + k);
      net.role.push(BEND);
      net.pos.push(pos[chain.from]);
      net.left.push(2);
      net.right.push(2);
      net.side.push(chain.main ? 1 : chain.edges[0].beside ? 2 : 0); // around on the left
      const edge = chain.edges[0];
      const at = edge.turned ? edge.toAt : edge.fromAt;
      if (k) join(bend - 1, bend, chain.main ? SPINE : BUNDLE, 0, 0, 0);
      else join(chain.from, bend, chain.main ? SPINE : PLAIN, at, 0, edge.label);
      chain.bends.push(bend);
    }
    if (length > 1) net.chains.push(chain.bends);
    for (const edge of chain.edges) {
      const span = rank[edge.lower] - rank[edge.upper] - 1;
      edge.bends = span <= limit ? chain.bends.slice(0, span) : [];
      if (span > limit) continue;
      const end = edge.turned ? edge.fromAt : edge.toAt;
      const weight = edge.main ? SPINE : PLAIN;
      if (span) join(edge.bends[span - 1], edge.lower, weight, 0, end, 0);
      else join(edge.upper, edge.lower, weight, edge.turned ? edge.toAt : edge.fromAt, end, edge.label);
    }
  }
  net.count = net.layerOf.length;
  net.down = grouped(net.count, net.upper);
  net.up = grouped(net.count, net.lower);
  net.layers = [];
  for (let i = 0; i < net.count; i++) (net.layers[net.layerOf[i]] ||= []).push(i);
  for (let r = 0; r < net.layers.length; r++) net.layers[r] ||= [];
  return net;
}

// The length of edge up to which all, from the shortest on, are no longer together than the most.
function longest(lengths, most) {
  let sum = 0;
  for (const length of lengths.sort((a, b) => a - b)) {
    sum += length;
    if (sum > most) return length - 1;
  }
  return Infinity;
}
