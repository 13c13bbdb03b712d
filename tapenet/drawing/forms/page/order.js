// The order of boxes and bends within the layers of one level: the one found that crosses least.

// A parameter stands beside what else its user takes, as a satellite; the others are ordered to cross little.
function orderLayers(net) {
  const host = hosts(net);
  const order = new Order(net, host);
  const first = order.search((i) => net.side[i]);
  const small = net.count < 1500;
  // Long edges begin on the left, those of parameters on the right; it may be better the other way around.
  const second = small && first.crossings > 0 ? order.search((i) => (net.role[i] === BEND ? 2 - net.side[i] : net.side[i])) : first;
  net.layers = (second.crossings < first.crossings ? second : first).layers.map((layer) => order.expand(layer));
}

class Order {
  constructor(net, host) {
    this.net = net;
    this.host = host;
    this.place = new Float64Array(net.count); // in its layer
    this.wish = new Float64Array(net.count);
    this.satellites = new Map();
    for (let i = 0; i < net.count; i++) {
      if (host[i] < 0) continue;
      if (!this.satellites.has(host[i])) this.satellites.set(host[i], []);
      this.satellites.get(host[i]).push(i);
    }
    this.segments = net.layers.map(() => []);
    for (let s = 0; s < net.upper.length; s++) {
      if (host[net.upper[s]] < 0) this.segments[net.layerOf[net.upper[s]]].push(s);
    }
  }

  // A layer with its satellites.
  expand(layer) {
    const all = [];
    const pending = [...layer].reverse();
    while (pending.length) {
      const i = pending.pop();
      all.push(i);
      const own = this.satellites.get(i);
      if (own) for (let k = own.length - 1; k >= 0; k--) pending.push(own[k]);
    }
    return all;
  }

  number(layer) {
    const { place } = this;
    const all = this.satellites.size ? this.expand(layer) : layer;
    for (let k = 0; k < all.length; k++) place[all[k]] = k;
  }

  // Sweeps down and up from an order by side and age; the best that comes by.
  search(side) {
    const { net, host } = this;
    const before = (a, b) => side(a) - side(b) || net.pos[a] - net.pos[b] || a - b;
    const layers = net.layers.map((layer) => layer.filter((i) => host[i] < 0).sort(before));
    layers.forEach((layer) => this.number(layer));
    this.sweep(layers, false);
    let found = { layers: layers.map((layer) => layer.slice()), crossings: this.crossings() };
    const rounds = net.count > 10000 ? 3 : net.count > 2500 ? 5 : 16;
    for (let round = 0, since = 0; round < rounds && found.crossings > 0 && since < 4; round++) {
      this.sweep(layers, round % 2 === 0);
      if (net.count < 1500) this.swap(layers);
      const crossings = this.crossings();
      since++;
      if (crossings < found.crossings) {
        since = 0;
        found = { layers: layers.map((layer) => layer.slice()), crossings };
      }
    }
    return found;
  }

  sweep(layers, downward) {
    const { place, wish } = this;
    for (let step = 0; step < layers.length; step++) {
      const layer = layers[downward ? step : layers.length - 1 - step];
      if (layer.length > 1) {
        for (const i of layer) this.aim(i, downward);
        layer.sort((a, b) => wish[a] - wish[b] || place[a] - place[b]);
      }
      this.number(layer);
    }
  }

  // Where a box wants to be: at the mean place of its neighbours in the layer before.
  aim(i, downward) {
    const { net, host, place, wish } = this;
    const { start, list } = downward ? net.up : net.down;
    const [far, at] = downward ? [net.upper, net.upperAt] : [net.lower, net.lowerAt];
    let sum = 0, count = 0;
    for (let k = start[i]; k < start[i + 1]; k++) {
      const other = far[list[k]];
      if (downward && host[other] >= 0) continue; // it goes where this one goes
      sum += place[other] + (0.9 * at[list[k]]) / (net.left[other] + net.right[other] + 1);
      count++;
    }
    wish[i] = count ? sum / count : place[i];
  }

  crossings() {
    return this.segments.reduce((sum, list) => sum + layerCrossings(this.net, list, this.place), 0);
  }

  // Swap neighbours in a layer wherever that makes fewer crossings.
  swap(layers) {
    const { net, host, place } = this;
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
        if (moved) this.number(layer);
      }
      if (!better) return;
    }
  }
}

// Of each parameter: the box it is a satellite of, -1 for none and for what is no parameter.
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
