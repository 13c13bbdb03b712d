// Colours by what was measured, at one step of a training or at the only one.

class Paint {
  constructor(app) {
    this.app = app;
    this.all = app.data.series;
    this.series = null;
    this.step = 0;
    this.known = new Map();
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
    this.go(0);
    if (this.steps > 1 && this.all.length) { // a recorded training is there to be seen
      chooser.value = 0;
      this.series = this.all[0];
    }
    this.legend();
  }

  name(series) {
    return clean(series.label || series.name.replaceAll("_", " "), 60);
  }

  choose(series) {
    this.series = series;
    this.refresh();
    this.app.view.decorate();
    this.app.panel.show();
  }

  go(step) {
    this.step = Math.max(0, Math.min(this.steps - 1, step));
    const slider = find("step");
    slider.value = this.step;
    const label = clean(this.app.data.steps[this.step] ?? this.step, 24);
    slider.setAttribute("aria-valuetext", `step ${label}`);
    find("step-label").textContent = `step ${label}`;
    if (!this.app.view) return;
    if (!this.series && this.all.length) {
      find("paint").value = 0;
      this.choose(this.all[0]);
    }
    this.app.view.decorate();
    this.app.panel.show();
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
    const { graph } = this.app;
    if (!graph.isCluster(id)) return series.values[id]?.[step] ?? null;
    const key = `${this.all.indexOf(series)} ${id} ${step}`;
    if (!this.known.has(key)) {
      this.known.set(key, combined(series.combine, [...graph.within(id)].map((v) => series.values[v]?.[step] ?? null)));
    }
    return this.known.get(key);
  }

  isTrouble(id) {
    return this.series !== null && typeof this.value(id) === "string";
  }

  // From the least to the greatest of what is seen, over all steps, so that colours can be compared.
  refresh() {
    this.range = null;
    const { series } = this;
    if (series) {
      let [least, most] = [Infinity, -Infinity];
      let positive = true;
      for (const id of this.app.layout.seen) {
        if (this.app.folding.isOpen(id)) continue;
        for (let step = 0; step < this.steps; step++) {
          const x = this.value(id, series, step);
          if (typeof x !== "number") continue;
          least = Math.min(least, x);
          most = Math.max(most, x);
          if (x <= 0) positive = false;
        }
      }
      if (most >= least) this.range = { least, most, log: positive && most / least > 50 };
    }
    this.legend();
  }

  colour(id) {
    if (!this.range && this.series) this.refresh();
    const x = this.value(id);
    if (typeof x !== "number" || !this.range) return "";
    const { least, most, log } = this.range;
    const f = log ? Math.log : (v) => v;
    return rampColour(most > least ? (f(x) - f(least)) / (f(most) - f(least)) : 0.5);
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
    const { least, most, log } = this.range;
    const bar = make("span", { class: "ramp" });
    const stops = Array.from({ length: 9 }, (_, i) => rampColour(i / 8));
    bar.style.setProperty("background", `linear-gradient(to right, ${stops.join(", ")})`);
    legend.replaceChildren(
      make("span", {}, `${this.name(this.series)}${log ? " (log scale)" : ""}`),
      make("span", { class: "ends" }, make("span", {}, numberText(least, this.series.unit)), bar,
        make("span", {}, numberText(most, this.series.unit))),
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

let ramp = null; // of the present theme

function forgetTheme() {
  ramp = null;
}

// A colour of the ramp of the present theme, as #rrggbb.
function rampColour(t) {
  ramp ||= getComputedStyle(document.documentElement).getPropertyValue("--ramp").trim().split(/\s+/);
  const at = Math.max(0, Math.min(1, t)) * (ramp.length - 1);
  const k = Math.min(ramp.length - 2, Math.floor(at));
  const [a, b] = [ramp[k], ramp[k + 1]].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  return `#${a.map((c, i) => Math.round(c + (b[i] - c) * (at - k)).toString(16).padStart(2, "0")).join("")}`;
}

// A line chart of a box's numbers over the steps, with a mark at the present one.
function chart(list, step, unit, name) {
  const [w, h, pad] = [276, 84, 4];
  const numbers = list.filter((x) => typeof x === "number");
  if (numbers.length < 2) return null;
  const [least, most] = [Math.min, Math.max].map((better) => numbers.reduce((a, b) => better(a, b)));
  const log = least > 0 && most / least > 50;
  const f = log ? Math.log : (v) => v;
  const x = (i) => pad + (i / Math.max(1, list.length - 1)) * (w - 2 * pad);
  const y = (v) => h - pad - (most > least ? (f(v) - f(least)) / (f(most) - f(least)) : 0.5) * (h - 2 * pad);
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
