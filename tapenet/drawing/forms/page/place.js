// The coordinates of one level: boxes across their layers, layers along, and the way of each edge through them.

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
