// A page that is told of measurements while it is open: by the server it is from, or by the notebook around it, which is
// told in turn what is open.

const ASK = 500; // milliseconds between two questions

class Live {
  constructor(app) {
    this.app = app;
    this.after = app.data.after;
    if (app.data.live === "server") this.ask();
    if (app.data.live === "notebook") this.listen();
  }

  // Nobody looks at a hidden page.
  async ask() {
    let ended = false;
    if (!document.hidden) {
      try {
        const answer = await fetch(`numbers?after=${this.after}`);
        ended = !answer.ok;
        if (answer.ok) this.take(await answer.json());
      } catch {
        ended = true;
      }
    }
    this.app.ended = ended;
    if (ended) this.repaint();
    setTimeout(() => this.ask(), ended ? 5 * ASK : ASK);
  }

  listen() {
    const { app } = this;
    window.addEventListener("message", ({ source, data }) => {
      if (source !== parent) return;
      if (data.opened) app.openOnly(data.opened);
      if (data.numbers?.curves) this.take(data.numbers);
    });
    app.folded = () => parent.postMessage({ opened: app.opened() }, "*");
    parent.postMessage({ ready: true }, "*");
  }

  take(said) {
    const { app } = this;
    const { count = 0, seconds = 0 } = app.progress || {};
    app.progress = { ...said, pace: (said.seconds - seconds) / (said.count - count) };
    if (said.series) {
      this.after = said.number;
      app.paint.add(said.step, said.series);
    }
    this.repaint();
  }

  // But not the words that somebody is about to click.
  repaint() {
    const { app } = this;
    app.view.decorate();
    if (!app.panel.root.matches(":focus-within")) app.panel.show();
  }
}
