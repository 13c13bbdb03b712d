// All of a picture that is larger than the stage, small in a corner: a frame is around what is in sight, and a click
// or a drag moves it.

const [MAP_WIDTH, MAP_HEIGHT, MAP_LEAST] = [180, 140, 12];

class Minimap {
  constructor(app) {
    this.app = app;
    this.map = find("map");
    this.boxes = draw("path", {});
    this.frame = draw("rect", {});
    this.map.append(this.boxes, this.frame);
    this.seen = null; // the boxes that it shows
    this.map.addEventListener("pointerdown", (event) => {
      this.map.setPointerCapture(event.pointerId);
      this.go(event);
    });
    this.map.addEventListener("pointermove", (event) => { if (event.buttons & 1) this.go(event); });
  }

  // The middle of the stage to where the pointer is.
  go(event) {
    const { camera } = this.app;
    const box = this.map.getBoundingClientRect();
    const [width, height] = camera.size;
    camera.stop();
    camera.set((event.clientX - box.left) / this.scale - width / camera.scale / 2,
      (event.clientY - box.top) / this.scale - height / camera.scale / 2);
  }

  // After what is in sight changed, or where boxes are.
  follow([left, top, right, bottom]) {
    const { x, y, w, h, size: [width, height], seen } = this.app.layout;
    this.map.toggleAttribute("hidden", left <= 0 && top <= 0 && right >= width && bottom >= height);
    if (this.seen !== seen) {
      this.seen = seen;
      this.scale = Math.min(MAP_WIDTH / width, MAP_HEIGHT / height);
      this.map.setAttribute("width", Math.max(MAP_LEAST, width * this.scale));
      this.map.setAttribute("height", Math.max(MAP_LEAST, height * this.scale));
      this.boxes.setAttribute("transform", `scale(${this.scale})`);
      const closed = seen.filter((id) => !this.app.folding.isOpen(id));
      this.boxes.setAttribute("d", closed.map((id) => `M${x[id]} ${y[id]}h${w[id]}v${h[id]}h${-w[id]}z`).join(""));
    }
    const put = (at, length, from, to, all) => {
      const [begin, end] = [from, to].map((place) => Math.max(0, Math.min(all, place)) * this.scale);
      this.frame.setAttribute(at, begin);
      this.frame.setAttribute(length, Math.max(3, end - begin));
    };
    put("x", "width", left, right, width);
    put("y", "height", top, bottom, height);
  }
}
