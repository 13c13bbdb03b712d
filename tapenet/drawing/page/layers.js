// The layout of one level: boxes in layers, arrows from each layer to later ones.
//
// The steps are those of Sugiyama, Tagawa and Toda: layers, order within them, then coordinates. "Along" is the way
// arrows go, "across" is the other one. Nothing recurses; all steps but the sorting are linear in boxes and bends.

const ITEM = 0, LEAF = 1, IN = 2, OUT = 3, BEND = 4;
const SPINE = 1e6, BUNDLE = 100, PLAIN = 1; // how much a segment wants to be straight
const GAP = 20, BEND_GAP = 12, LAYER_GAP = 24, PORT_GAP = 6;
const MOST_BENDS = 40000;

// level: {count, role, pos, left, right, half, along, fixed, edges: [{from, to, key, main, fromAt, toAt, label}]}:
// `left` and `right` is what a box takes up on both sides of its middle, label included, `half` is half of the box
// itself, `fixed` says that edges end at exactly fromAt, toAt from the middle, `key` which array an edge carries,
// `label` how much room its text needs along.
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
  let bends = 0;
  const longest = [...chains.values()].map((chain) => chain.length).sort((a, b) => a - b);
  let limit = Infinity; // edges longer than this go straight, over whatever lies between
  for (const length of longest) {
    bends += length;
    if (bends > MOST_BENDS) { limit = length - 1; break; }
  }
  const net = {
    level, chains: [], layerOf: Array.from(rank), role: Array.from(role), pos: Array.from(pos), side: [], left: [], right: [],
    upper: [], lower: [], weight: [], upperAt: [], lowerAt: [], label: [],
  };
  for (let i = 0; i < count; i++) {
    net.left.push(level.left[i]);
    net.right.push(level.right[i]);
    net.side.push(1);
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
    const leaf = role[chain.from] === LEAF;
    chain.bends = [];
    const routed = chain.edges.filter((edge) => rank[edge.lower] - rank[edge.upper] - 1 <= limit);
    const length = Math.max(0, ...routed.map((edge) => rank[edge.lower] - rank[edge.upper] - 1));
    for (let k = 0; k < length; k++) {
      const bend = net.layerOf.length;
      net.layerOf.push(rank[chain.from] + 1 + k);
      net.role.push(BEND);
      net.pos.push(pos[chain.from]);
      net.left.push(2);
      net.right.push(2);
      net.side.push(chain.main ? 1 : leaf ? 2 : 0); // around on the left, parameters on the right
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

// -- order within layers -------------------------------------------------------------------------------------------

// A parameter stands beside what else its user takes, as a satellite; the others are ordered to cross little.
function orderLayers(net) {
  const host = hosts(net);
  const satellites = new Map();
  for (let i = 0; i < net.count; i++) {
    if (host[i] < 0) continue;
    if (!satellites.has(host[i])) satellites.set(host[i], []);
    satellites.get(host[i]).push(i);
  }
  const expand = (list) => {
    const all = [];
    const pending = [...list].reverse();
    while (pending.length) {
      const i = pending.pop();
      all.push(i);
      const own = satellites.get(i);
      if (own) for (let k = own.length - 1; k >= 0; k--) pending.push(own[k]);
    }
    return all;
  };
  const before = (a, b) => net.side[a] - net.side[b] || net.pos[a] - net.pos[b] || a - b;
  const layers = net.layers.map((layer) => layer.filter((i) => host[i] < 0).sort(before));
  const place = new Float64Array(net.count);
  const number = (layer) => {
    if (satellites.size) expand(layer).forEach((i, k) => { place[i] = k; });
    else for (let k = 0; k < layer.length; k++) place[layer[k]] = k;
  };
  layers.forEach(number);

  const wish = new Float64Array(net.count);
  const aim = (i, downward) => { // the mean place of its neighbours in the layer before
    const { start, list } = downward ? net.up : net.down;
    const [far, at] = downward ? [net.upper, net.upperAt] : [net.lower, net.lowerAt];
    let sum = 0, count = 0;
    for (let k = start[i]; k < start[i + 1]; k++) {
      const other = far[list[k]];
      if (host[other] >= 0) continue;
      sum += place[other] + (0.9 * at[list[k]]) / (net.left[other] + net.right[other] + 1);
      count++;
    }
    wish[i] = count ? sum / count : place[i];
  };
  const sweep = (downward) => {
    for (let step = 0; step < layers.length; step++) {
      const layer = layers[downward ? step : layers.length - 1 - step];
      if (layer.length > 1) {
        for (const i of layer) aim(i, downward);
        layer.sort((a, b) => wish[a] - wish[b] || place[a] - place[b]);
      }
      number(layer);
    }
  };
  const segments = [];
  net.layers.forEach(() => segments.push([]));
  for (let s = 0; s < net.upper.length; s++) {
    if (host[net.upper[s]] < 0) segments[net.layerOf[net.upper[s]]].push(s);
  }
  const crossings = () => segments.reduce((sum, list) => sum + layerCrossings(net, list, place), 0);

  sweep(false);
  let best = layers.map((layer) => layer.slice());
  let fewest = crossings();
  const rounds = net.count > 10000 ? 3 : net.count > 2500 ? 6 : 16;
  for (let round = 0, since = 0; round < rounds && fewest > 0 && since < 4; round++) {
    sweep(round % 2 === 0);
    if (net.count < 1500) swapNeighbours(net, layers, place, host, number);
    const now = crossings();
    since++;
    if (now < fewest) {
      [fewest, since] = [now, 0];
      best = layers.map((layer) => layer.slice());
    }
  }
  net.layers = best.map(expand);
}

function hosts(net) {
  const host = new Int32Array(net.count).fill(-1);
  for (let i = 0; i < net.count; i++) {
    if (net.role[i] !== LEAF) continue;
    const { start, list } = net.down;
    let user = -1;
    for (let k = start[i]; k < start[i + 1]; k++) {
      const lower = net.lower[list[k]];
      if (net.role[lower] !== BEND && (user < 0 || net.pos[lower] < net.pos[user])) user = lower;
    }
    if (user < 0 || net.level.fixed[user]) continue;
    let chosen = -1;
    for (let k = net.up.start[user]; k < net.up.start[user + 1]; k++) {
      const segment = net.up.list[k];
      const other = net.upper[segment];
      const better = chosen < 0 || net.weight[segment] > net.weight[chosen]
        || (net.weight[segment] === net.weight[chosen] && net.pos[other] < net.pos[net.upper[chosen]]);
      if (better) chosen = segment;
    }
    let at = net.upper[chosen];
    while (host[at] >= 0 && at !== i) at = host[at];
    if (at !== i) host[i] = at;
  }
  return host;
}

// How many pairs of segments between two layers cross, counted with a tree of sums.
function layerCrossings(net, segments, place) {
  if (segments.length < 2) return 0;
  let most = 0;
  for (const s of segments) most = Math.max(most, place[net.lower[s]]);
  const from = (s) => place[net.upper[s]] + net.upperAt[s] * 1e-4;
  segments.sort((a, b) => from(a) - from(b) || place[net.lower[a]] - place[net.lower[b]]);
  const sums = new Int32Array(most + 2);
  let crossed = 0;
  for (let n = 0; n < segments.length; n++) {
    const to = place[net.lower[segments[n]]];
    let until = 0;
    for (let k = to + 1; k > 0; k -= k & -k) until += sums[k];
    crossed += n - until;
    for (let k = to + 1; k < sums.length; k += k & -k) sums[k]++;
  }
  return crossed;
}

// Swap neighbours in a layer wherever that makes fewer crossings.
function swapNeighbours(net, layers, place, host, number) {
  const others = (i, group, far) => {
    const found = [];
    for (let k = group.start[i]; k < group.start[i + 1]; k++) {
      const other = far[group.list[k]];
      if (host[other] < 0) found.push(place[other]);
    }
    return found;
  };
  const crossed = (a, b) => {
    let n = 0;
    for (const x of a) for (const y of b) n += x > y ? 1 : x < y ? -1 : 0;
    return n;
  };
  for (let pass = 0; pass < 3; pass++) {
    let better = false;
    for (const layer of layers) {
      let moved = false;
      for (let k = 0; k + 1 < layer.length; k++) {
        const [a, b] = [layer[k], layer[k + 1]];
        const gain = crossed(others(a, net.up, net.upper), others(b, net.up, net.upper))
          + crossed(others(a, net.down, net.lower), others(b, net.down, net.lower));
        if (gain > 0) {
          [layer[k], layer[k + 1]] = [b, a];
          moved = better = true;
        }
      }
      if (moved) number(layer);
    }
    if (!better) return;
  }
}

// -- coordinates ---------------------------------------------------------------------------------------------------

// The middles of boxes: each layer in turn is put as near as it can be to where its neighbours want it.
function placeAcross(net) {
  const x = new Float64Array(net.count);
  const apart = net.layers.map((layer) => layer.map((i, k) => {
    if (!k) return 0;
    const before = layer[k - 1];
    const bends = net.role[i] === BEND || net.role[before] === BEND;
    return net.right[before] + net.left[i] + (bends ? BEND_GAP : GAP);
  }));
  net.layers.forEach((layer, r) => {
    let at = 0;
    layer.forEach((i, k) => { x[i] = at += apart[r][k]; });
    for (const i of layer) x[i] -= at / 2;
  });
  for (let round = 0; round < 8; round++) {
    const downward = round % 2 === 0;
    for (let step = 0; step < net.layers.length; step++) {
      const r = downward ? step : net.layers.length - 1 - step;
      placeLayer(net, net.layers[r], apart[r], x, downward);
    }
  }
  straighten(net, apart, x);
  let least = Infinity;
  for (let i = 0; i < net.count; i++) least = Math.min(least, x[i] - net.left[i]);
  for (let i = 0; i < net.count; i++) x[i] -= least;
  return x;
}

// Let each long edge run straight for as many layers as the boxes beside it leave room.
function straighten(net, apart, x) {
  const place = new Int32Array(net.count);
  for (const layer of net.layers) layer.forEach((i, k) => { place[i] = k; });
  const room = (i) => {
    const r = net.layerOf[i];
    const k = place[i];
    const layer = net.layers[r];
    return [
      k ? x[layer[k - 1]] + apart[r][k] : -Infinity,
      k + 1 < layer.length ? x[layer[k + 1]] - apart[r][k + 1] : Infinity,
    ];
  };
  for (const bends of net.chains) {
    for (let from = 0; from < bends.length;) {
      let [low, high] = room(bends[from]);
      let to = from + 1;
      for (; to < bends.length; to++) {
        const [l, h] = room(bends[to]);
        if (Math.max(low, l) > Math.min(high, h)) break;
        [low, high] = [Math.max(low, l), Math.min(high, h)];
      }
      const wish = x[bends[from === 0 ? to - 1 : from]];
      for (let k = from; k < to; k++) x[bends[k]] = Math.max(low, Math.min(high, wish));
      from = to;
    }
  }
}

// The places nearest to what is wished, by weight, with the boxes in order and apart: where boxes would come too
// near they are joined, and go where the joined ones wish on average.
function placeLayer(net, layer, apart, x, downward) {
  const { start, list } = downward ? net.up : net.down;
  const sums = [], weights = [], sizes = [];
  let offset = 0;
  layer.forEach((i, n) => {
    offset += apart[n];
    let sum = 0, weight = 0;
    for (let k = start[i]; k < start[i + 1]; k++) {
      const s = list[k];
      const wish = downward
        ? x[net.upper[s]] + net.upperAt[s] - net.lowerAt[s]
        : x[net.lower[s]] + net.lowerAt[s] - net.upperAt[s];
      sum += net.weight[s] * wish;
      weight += net.weight[s];
    }
    if (!weight) [sum, weight] = [1e-3 * x[i], 1e-3];
    sums.push(sum - weight * offset);
    weights.push(weight);
    sizes.push(1);
    for (let k = sums.length - 1; k > 0 && sums[k - 1] / weights[k - 1] >= sums[k] / weights[k]; k--) {
      sums[k - 1] += sums.pop();
      weights[k - 1] += weights.pop();
      sizes[k - 1] += sizes.pop();
    }
  });
  let n = 0;
  offset = 0;
  sums.forEach((sum, k) => {
    for (let left = sizes[k]; left > 0; left--, n++) {
      offset += apart[n];
      x[layer[n]] = sum / weights[k] + offset;
    }
  });
}

// Layers one after another, and the way of each edge through them.
function placeAlong(net, x) {
  const { level } = net;
  const size = net.layers.map((layer) => layer.reduce((most, i) => (
    i < level.count ? Math.max(most, level.along[i]) : most), 0));
  const bare = (r) => size[r] === 0 && net.layers[r].every((i) => net.role[i] >= IN);
  const narrow = net.layers.map((_, r) => r + 1 < net.layers.length && (bare(r) || bare(r + 1)));
  const gaps = narrow.map((near) => (near ? PORT_GAP : LAYER_GAP));
  const slant = net.layers.map(() => 0);
  for (let s = 0; s < net.upper.length; s++) {
    const r = net.layerOf[net.upper[s]];
    gaps[r] = Math.max(gaps[r], narrow[r] ? 0.6 * net.label[s] : net.label[s]);
    const shift = x[net.upper[s]] + net.upperAt[s] - x[net.lower[s]] - net.lowerAt[s];
    slant[r] = Math.max(slant[r], Math.abs(shift));
  }
  const top = [];
  let at = 0;
  net.layers.forEach((layer, r) => {
    top.push(at);
    const gap = gaps[r] + (narrow[r] ? Math.min(24, slant[r] / 3) : Math.min(40, slant[r] / 16)); // room for arrows that go far to the side
    at += size[r] + (r + 1 < net.layers.length ? gap : 0);
  });
  const start = new Float64Array(level.count);
  let breadth = 0;
  for (let i = 0; i < net.count; i++) breadth = Math.max(breadth, x[i] + net.right[i]);
  for (let i = 0; i < level.count; i++) {
    const r = net.layerOf[i];
    const spare = size[r] - level.along[i];
    start[i] = top[r] + (level.role[i] === LEAF && spare > 40 ? spare : spare / 2);
  }
  const routes = level.edges.map((edge) => {
    const points = [];
    const { upper, lower } = edge;
    const ends = attach(net, x, edge);
    const [first, last] = [net.layerOf[upper], net.layerOf[lower]];
    points.push(ends[0], start[upper] + level.along[upper]);
    if (level.role[upper] !== IN) points.push(ends[0], top[first] + size[first]);
    for (const bend of edge.bends) {
      const r = net.layerOf[bend];
      points.push(x[bend], top[r], x[bend], top[r] + size[r]);
    }
    if (level.role[lower] !== OUT) points.push(ends[1], top[last]);
    points.push(ends[1], start[lower]);
    return withoutStops(edge.turned ? turnedAround(points) : points);
  });
  return { middle: x.slice(0, level.count), start, breadth, length: at, routes };
}

// Where an edge leaves its upper box and meets its lower one: at the middle or, coming from the side, beside it.
function attach(net, x, edge) {
  const { level } = net;
  const { upper, lower, bends } = edge;
  const [upperAt, lowerAt] = edge.turned ? [edge.toAt, edge.fromAt] : [edge.fromAt, edge.toAt];
  const next = bends.length ? x[bends[0]] : x[lower] + lowerAt;
  const before = bends.length ? x[bends[bends.length - 1]] : x[upper] + upperAt;
  const beside = (i, at, other) => {
    if (level.role[i] > LEAF || level.fixed[i] || edge.main) return x[i] + at;
    const reach = Math.max(0, level.half[i] - 6);
    return x[i] + Math.max(-reach, Math.min(reach, (other - x[i]) * 0.3));
  };
  return [beside(upper, upperAt, next), beside(lower, lowerAt, before)];
}

// Without points that are where the one before is: an arrow would not know where it points.
function withoutStops(points) {
  const found = points.slice(0, 2);
  for (let k = 2; k < points.length; k += 2) {
    const end = found.length;
    if (Math.abs(points[k] - found[end - 2]) + Math.abs(points[k + 1] - found[end - 1]) > 0.01) {
      found.push(points[k], points[k + 1]);
    }
  }
  return found;
}

function turnedAround(points) {
  const found = [];
  for (let k = points.length - 2; k >= 0; k -= 2) found.push(points[k], points[k + 1]);
  return found;
}
