// Where the page looks: what point of the picture is at the corner of the stage, and how large.

class Camera {
  constructor(stage, moved) {
    this.stage = stage;
    this.moved = moved;
    [this.x, this.y, this.scale] = [0, 0, 1];
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.flight = 0;
    this.pointers = new Map();
    this.dragged = false;
    this.listen();
  }

  get size() {
    return [this.stage.clientWidth || 1, this.stage.clientHeight || 1];
  }

  set(x, y, scale = this.scale) {
    this.scale = Math.max(0.004, Math.min(4, scale));
    [this.x, this.y] = [x, y];
    this.moved();
  }

  // From the stage's coordinates to the picture's.
  at(px, py) {
    return [this.x + px / this.scale, this.y + py / this.scale];
  }

  zoom(factor, px = this.size[0] / 2, py = this.size[1] / 2) {
    const [x, y] = this.at(px, py);
    const scale = Math.max(0.004, Math.min(4, this.scale * factor));
    this.stop();
    this.set(x - px / scale, y - py / scale, scale);
  }

  // All of the picture in sight; but of a chain of thousands, which would be a hair, as much as can be seen.
  fit(w, h) {
    const [width, height] = this.size;
    const whole = Math.min(1.4, (width - 48) / Math.max(1, w), (height - 48) / Math.max(1, h));
    const scale = Math.max(whole, Math.min(0.3, 60 / Math.min(w, h)));
    const [x, y] = [w / 2 - width / scale / 2, h / 2 - height / scale / 2];
    this.stop();
    this.set(w * scale > width ? -24 / scale : x, h * scale > height ? -24 / scale : y, scale);
  }

  // The beginning of a picture too large to be read whole, with its first box in the middle across.
  start(w, h, sideways, middle) {
    const [width, height] = this.size;
    const whole = Math.min((width - 48) / w, (height - 48) / h);
    if (whole >= 0.7) return this.fit(w, h);
    const scale = Math.max(0.8, Math.min(1, sideways ? (height - 48) / h : (width - 48) / w));
    const margin = 24 / scale;
    const beside = (all, seen) => (all + 2 * margin < seen ? (all - seen) / 2
      : Math.max(-margin, Math.min(all + margin - seen, middle - seen / 2)));
    return sideways
      ? this.set(-margin, beside(h, height / scale), scale)
      : this.set(beside(w, width / scale), -margin, scale);
  }

  // Bring a box to the middle, unless it is well in sight.
  show(x, y, w, h, always = false) {
    const [width, height] = this.size;
    const [left, top] = [(x - this.x) * this.scale, (y - this.y) * this.scale];
    const inSight = left > 40 && top > 40 && left + w * this.scale < width - 40 && top + h * this.scale < height - 40;
    if (inSight && this.scale >= 0.45 && !always) return;
    const scale = Math.max(this.scale, 0.7);
    this.fly(x + w / 2 - width / scale / 2, y + Math.min(h / 2, height / scale / 2 - 40) - height / scale / 2, scale);
  }

  fly(x, y, scale) {
    this.stop();
    if (this.still) return this.set(x, y, scale);
    const from = [this.x, this.y, this.scale];
    const began = performance.now();
    const step = (now) => {
      const t = Math.min(1, Math.max(0, (now - began) / 220));
      const ease = 1 - (1 - t) ** 3;
      this.set(...[x, y, scale].map((to, i) => from[i] + (to - from[i]) * ease));
      this.flight = t < 1 ? requestAnimationFrame(step) : 0;
    };
    this.flight = requestAnimationFrame(step);
    return undefined;
  }

  stop() {
    cancelAnimationFrame(this.flight);
    this.flight = 0;
  }

  listen() {
    const { stage, pointers } = this;
    const place = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.stop();
      const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? this.size[1] : 1;
      if (event.ctrlKey || event.metaKey) {
        const [px, py] = place(event);
        this.zoom(Math.exp((-event.deltaY * unit) / 240), px, py);
      } else {
        const [dx, dy] = event.shiftKey && !event.deltaX ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
        this.set(this.x + (dx * unit) / this.scale, this.y + (dy * unit) / this.scale);
      }
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, place(event));
      if (pointers.size === 1) [this.dragged, this.pressed] = [false, place(event)];
      this.stop();
    });
    stage.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = place(event);
      if (pointers.size === 1) {
        if (!this.dragged && Math.hypot(now[0] - this.pressed[0], now[1] - this.pressed[1]) < 4) return;
        if (!this.dragged) stage.setPointerCapture(event.pointerId);
        this.dragged = true;
        stage.classList.add("dragging");
        this.set(this.x - (now[0] - before[0]) / this.scale, this.y - (now[1] - before[1]) / this.scale);
      } else if (pointers.size === 2) {
        this.dragged = true;
        const [[, other]] = [...pointers].filter(([id]) => id !== event.pointerId);
        const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
        this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      }
      pointers.set(event.pointerId, now);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => {
        pointers.delete(event.pointerId);
        if (!pointers.size) stage.classList.remove("dragging");
      });
    }
  }
}
