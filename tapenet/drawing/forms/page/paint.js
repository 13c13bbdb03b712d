// Colours by what was measured, at one step of a training or at the only one.

const MOST_STEPS = 64; // that a page keeps of a training that goes on

class Paint {
  constructor(app) {
    this.app = app;
    this.all = app.data.series;
    this.series = null;
    this.step = 0;
    this.known = new Map();
    this.totals = new Map(); // of what is seen, by step
    this.range = null;
    this.timer = 0;
    this.steps = 1;
    for (const { values } of this.all) for (const list of Object.values(values)) this.steps = Math.max(this.steps, list.length);
    this.build();
  }

  build() {
    const chooser = find("paint");
    find("painting").hidden = !this.all.length;
    this.all.forEach((series, i) => chooser.append(make("option", { value: i }, this.name(series))));
    chooser.addEventListener("change", () => this.choose(this.all[chooser.value] ?? null));
    find("training").hidden = this.steps < 2;
    const slider = find("step");
    slider.max = this.steps - 1;
    slider.addEventListener("input", () => this.go(Number(slider.value)));
    find("steps-play").addEventListener("click", () => this.run());
    this.go(this.steps - 1); // as the still picture of a profile shows it
    const first = this.all.findIndex(({ name }) => name === this.app.data.color_by);
    const shown = first < 0 && this.steps > 1 ? 0 : first; // a recorded training is there to be seen
    if (shown >= 0) {
      chooser.value = shown;
      this.series = this.all[shown];
    }
    this.legend();
  }

  name(series) {
    return clean(series.label || series.name.replaceAll("_", " "), 60);
  }

  choose(series) {
    this.series = series;
    this.app.relayout();
  }

  // What stands in a box of what was measured in it, with its share of all that is seen, as in a still picture.
  line(id, step = this.step) {
    const { series } = this;
    const { graph, folding } = this.app;
    const thing = graph.isCluster(id) ? graph.clusterOf(id) : graph.vertices[id];
    const x = folding.isOpen(id) || !["op", "module", "parameter"].includes(thing.kind ?? "module") ? null : this.value(id, series, step);
    if (x === null) return "";
    const words = `${series.short ? `${series.short} ` : ""}${numberText(x, series.unit)}`;
    if (series.combine !== "sum") return words;
    const share = (100 * x) / this.total(step);
    const part = share > 0 && share < 1 ? "< 1" : share.toFixed(0);
    return `${words}${thing.count > 1 ? " in all" : ""}${Number.isFinite(share) ? ` · ${part} %` : ""}`;
  }

  total(step) {
    if (!this.totals.has(step)) {
      const numbers = this.app.layout.drawn.map((id) => this.value(id, this.series, step)).filter(Number.isFinite);
      this.totals.set(step, numbers.reduce((sum, x) => sum + x, 0));
    }
    return this.totals.get(step);
  }

  // The widest of these over all steps, so that boxes stay where they are.
  widest(id) {
    let found = "";
    for (let step = 0; this.series && step < this.steps; step++) {
      const text = this.line(id, step);
      if (room(text, 12) > room(found, 12)) found = text;
    }
    return found;
  }

  go(step) {
    this.at(step);
    if (!this.app.view) return;
    if (!this.series && this.all.length) {
      find("paint").value = 0;
      this.choose(this.all[0]);
    }
    this.app.view.decorate();
    this.app.panel.show();
  }

  at(step) {
    this.step = Math.max(0, Math.min(this.steps - 1, step));
    const slider = find("step");
    slider.value = this.step;
    const label = clean(this.app.data.steps[this.step] ?? this.step + 1, 24);
    slider.setAttribute("aria-valuetext", `step ${label}`);
    find("step-label").textContent = `step ${label}`;
  }

  // One more step, of a training that goes on. There is room for so many: then every second one of the older goes.
  add(name, numbers) {
    const { steps } = this.app.data;
    const atEnd = this.step === this.steps - 1;
    steps.push(name);
    for (const series of this.all) {
      const found = numbers[series.name] || {};
      for (const id of Object.keys(found)) series.values[id] ??= Array(this.steps).fill(null);
      for (const [id, list] of Object.entries(series.values)) list.push(found[id] ?? null);
    }
    if (steps.length > MOST_STEPS) {
      const kept = (list) => list.filter((_, i) => (list.length - 1 - i) % 2 === 0);
      this.app.data.steps = kept(steps);
      for (const { values } of this.all) for (const id of Object.keys(values)) values[id] = kept(values[id]);
    }
    this.known.clear();
    this.totals.clear();
    this.steps = this.app.data.steps.length;
    find("training").hidden = this.steps < 2;
    find("step").max = this.steps - 1;
    this.at(atEnd ? this.steps - 1 : this.step);
    this.refresh();
  }

  run() {
    const button = find("steps-play");
    const stop = () => {
      clearInterval(this.timer);
      this.timer = 0;
      label(button, "play", "play the training");
    };
    if (this.timer) return stop();
    if (this.step === this.steps - 1) this.go(0);
    label(button, "pause", "pause the training");
    this.timer = setInterval(() => {
      if (this.step < this.steps - 1) this.go(this.step + 1);
      if (this.step >= this.steps - 1) stop();
    }, Math.max(60, Math.min(400, 12000 / this.steps)));
    return undefined;
  }

  // The number of a box: for a closed module, that of all in it together.
  value(id, series = this.series, step = this.step) {
    if (!series) return null;
    const { graph, layout } = this.app;
    const guests = layout.guests.get(id) || [];
    if (!graph.isCluster(id) && !guests.length) return series.values[id]?.[step] ?? null;
    const key = `${this.all.indexOf(series)} ${id} ${step} ${guests.length}`;
    if (!this.known.has(key)) {
      const measured = [...graph.within(id), ...guests].filter((v) => series.values[v]);
      const learned = series.combine === "norm" ? measured.filter((v) => graph.vertices[v].kind === "parameter") : [];
      const counted = learned.length ? learned : measured;
      this.known.set(key, combined(series.combine, counted.map((v) => series.values[v][step] ?? null)));
    }
    return this.known.get(key);
  }

  isTrouble(id) {
    return this.series !== null && typeof this.value(id) === "string";
  }

  // From the least to the greatest of what is seen, over all steps, so that colours can be compared.
  refresh() {
    const { app, series } = this;
    const numbers = [];
    let trouble = false;
    for (const id of series ? app.layout.seen : []) {
      if (app.folding.isOpen(id)) continue;
      for (let step = 0; step < this.steps; step++) {
        const x = this.value(id, series, step);
        if (typeof x === "number") numbers.push(x);
        else if (x !== null) trouble = true;
      }
    }
    const positive = numbers.filter((x) => x > 0);
    const log = Boolean(series?.logarithmic) && positive.length > 0;
    this.range = numbers.length || trouble ? { ...extent(log ? positive : numbers), log, trouble } : null;
    this.legend();
  }

  colour(id) {
    if (!this.range && this.series) this.refresh();
    const x = this.value(id);
    if (x === null) return "";
    return typeof x === "string" ? themeColours().trouble : rampColour(share(x, this.range));
  }

  text(id) {
    if (!this.series) return "";
    const x = this.value(id);
    return x === null ? "" : `${this.name(this.series)}: ${numberText(x, this.series.unit)}`;
  }

  legend() {
    const legend = find("scale");
    legend.hidden = !this.series || !this.range;
    if (legend.hidden) return;
    const { least, most, log, trouble } = this.range;
    const bar = make("span", { class: "ramp" });
    const stops = Array.from({ length: 9 }, (_, i) => rampColour(i / 8));
    bar.style.setProperty("background", `linear-gradient(to right, ${stops.join(", ")})`);
    const [low, high] = [least, most].map((x) => make("span", {}, numberText(x, this.series.unit)));
    const mark = make("i", { class: "swatch" });
    mark.style.setProperty("background", themeColours().trouble);
    legend.replaceChildren(
      make("span", {}, `${this.name(this.series)}${log && most > least ? " (log scale)" : ""}`),
      ...(most >= least ? [make("span", { class: "ends" }, low, bar, high)] : []),
      ...(trouble ? [make("span", { class: "ends" }, mark, "not finite")] : []),
    );
  }
}

function combined(how, list) {
  let sum = null;
  for (const x of list) {
    if (x === null) continue;
    if (typeof x === "string") return x;
    if (sum === null) sum = how === "norm" ? x * x : x;
    else if (how === "sum") sum += x;
    else if (how === "norm") sum += x * x;
    else sum = Math.max(sum, x);
  }
  return how === "norm" && sum !== null ? Math.sqrt(sum) : sum;
}

// The least and the greatest; of none, the wrong way around.
function extent(numbers) {
  let [least, most] = [Infinity, -Infinity];
  for (const x of numbers) [least, most] = [Math.min(least, x), Math.max(most, x)];
  return { least, most };
}

// How far a number is on the way from the least to the greatest: 0 is as far as a logarithmic scale goes.
function share(x, { least, most, log }) {
  if (!(most > least)) return 0.5;
  if (log) return x > 0 ? Math.log(x / least) / Math.log(most / least) : 0;
  return (x - least) / (most - least);
}

let theme = null; // the colours of the present one

function forgetTheme() {
  theme = null;
}

function themeColours() {
  if (!theme) {
    const style = getComputedStyle(document.documentElement);
    const colours = (name) => style.getPropertyValue(name).trim().split(/\s+/);
    theme = { ramp: colours("--ramp"), trouble: colours("--trouble")[0] };
  }
  return theme;
}

// A colour of the ramp of the present theme, as #rrggbb.
function rampColour(t) {
  const { ramp } = themeColours();
  return ramp[Math.round(Math.max(0, Math.min(1, t)) * (ramp.length - 1))];
}

// A line chart of a box's numbers over the steps, with a mark at the present one.
function chart(list, step, unit, name) {
  const [w, h, pad] = [276, 84, 4];
  const numbers = list.filter((x) => typeof x === "number");
  if (numbers.length < 2) return null;
  const { least, most } = extent(numbers);
  const log = least > 0 && most / least > 50;
  const x = (i) => pad + (i / Math.max(1, list.length - 1)) * (w - 2 * pad);
  const y = (v) => h - pad - share(v, { least, most, log }) * (h - 2 * pad);
  let d = "";
  let pen = "M";
  list.forEach((v, i) => {
    if (typeof v !== "number") { pen = "M"; return; }
    d += `${pen}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    pen = "L";
  });
  const picture = draw("svg", {
    class: "chart", viewBox: `0 0 ${w} ${h}`, role: "img",
    "aria-label": `${name} over steps, from ${numberText(least, unit)} to ${numberText(most, unit)}`,
  }, draw("path", { d }), draw("line", { x1: x(step), x2: x(step), y1: 0, y2: h }));
  list.forEach((v, i) => {
    if (typeof v === "string") picture.append(draw("line", { class: "bad", x1: x(i), x2: x(i), y1: 0, y2: h }));
  });
  if (typeof list[step] === "number") picture.append(draw("circle", { cx: x(step), cy: y(list[step]), r: 3.5 }));
  return make("figure", {}, picture, make("figcaption", {},
    `${numberText(least, unit)} … ${numberText(most, unit)}${log ? " (log scale)" : ""}`));
}
