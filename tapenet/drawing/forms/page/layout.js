// Where everything that is seen stands: the drawing with its closed clusters as boxes, as `place` of Python lays it out.

class Layout {
  constructor(graph, folding, direction) {
    this.graph = graph;
    this.folding = folding;
    this.direction = direction;
    this.sideways = direction === "LR" || direction === "RL";
    for (const name of ["x", "y", "w", "h"]) this[name] = new Float64Array(graph.root + 1);
  }

  // Lay out anew after clusters were opened or closed, or other measurements chosen. What was measured is a line.
  update(measured = () => "") {
    const { graph, folding } = this;
    const { clusters, count } = graph;
    const closed = new $Set($range(clusters.length).filter((i) => !folding.open[count + i]));
    const [whole, moved, places] = folded(graph.drawing, closed);
    const boxes = new Int32Array(whole.vertices.length); // their ids
    moved.forEach((k, i) => { boxes[k] = i; });
    for (const [i, k] of places.items()) boxes[k] = count + i;
    const [drawn, hosts] = DATA.compact ? compacted(whole) : [whole, $range(boxes.length)];
    const ids = [];
    this.guests = new Map(); // by id: the ops that stand in that box as lines
    boxes.forEach((id, k) => {
      const host = ids[hosts[k]] ?? (ids[hosts[k]] = id);
      if (host !== id) this.guests.set(host, [...this.guests.get(host) || [], id]);
    });
    const now = moved.map((k) => hosts[k]);
    now.forEach((k, i) => { folding.stands[i] = ids[k]; }); // a parameter may stay outside of what it is in
    this.drawn = ids;
    this.measured = new Map(); // by id: which line of a box that is
    const vertices = drawn.vertices.map((vertex, k) => {
      const text = measured(ids[k]);
      if (!text) return vertex;
      this.measured.set(ids[k], vertex.title.split("\n").length);
      return $replace(vertex, { title: `${vertex.title}\n${text}` });
    });
    const placed = place(mark_skips(bundle($replace(drawn, { vertices }))), this.direction);
    const open = $range(count, graph.root).filter((id) => folding.seen(id) && folding.open[id]);
    this.size = [placed.width, placed.height];
    this.lines = new Map();
    this.round = new Set();
    const put = (id, box) => {
      [this.x[id], this.y[id], this.w[id], this.h[id]] = [box.x, box.y, box.width, box.height];
      this.lines.set(id, box.lines);
    };
    open.forEach((id, k) => put(id, placed.clusters[k]));
    ids.forEach((id, k) => {
      put(id, placed.boxes[k]);
      if (placed.drawing.vertices[k].round) this.round.add(id);
    });
    this.seen = [...open, ...ids];
    this.edges = this.arrows(placed, now, ids);
  }

  // The arrows that are drawn, each with the edges that it stands for.
  arrows({ drawing, ways }, now, ids) {
    const { edges } = this.graph;
    const between = new Map();
    edges.forEach((edge, i) => {
      const key = `${now[edge.tail]} ${now[edge.head]} ${edge.flow}`;
      if (!between.has(key)) between.set(key, []);
      between.get(key).push(i);
    });
    const found = [];
    drawing.edges.forEach((edge, k) => {
      const { points, label } = ways[k];
      if (!points.length || edge.flow === "order") return;
      const of = between.get(`${edge.tail} ${edge.head} ${edge.flow}`);
      const same = of.find((i) => edges[i].argument === edge.argument && edges[i].result === edge.result) ?? of[0];
      found.push({
        key: k, edge, of, first: edges[same], way: WAYS[edge.flow], tail: ids[edge.tail], head: ids[edge.head], points, label,
        told: edge.told(drawing.vertices), box: bounds(points), shape: arrow(points, stroke(edge).width),
      });
    });
    return found;
  }
}

function bounds(points) {
  const [across, along] = [0, 1].map((k) => points.map((point) => point[k]));
  return [Math.min(...across), Math.min(...along), Math.max(...across), Math.max(...along)];
}
