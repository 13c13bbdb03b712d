// The page in a cell of a notebook. It is a whole page, and so has a frame of its own, which can reach nothing.

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = "the graph";
  frame.style.cssText = `display: block; width: 100%; height: ${model.get("height")}px; border: 0`;
  const load = () => { frame.srcdoc = model.get("page"); };
  const tell = (...names) => {
    frame.contentWindow?.postMessage(Object.fromEntries(names.map((name) => [name, model.get(name)])), "*");
  };
  const hear = ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    if (data.ready) tell("opened", "numbers");
    if (data.opened) {
      model.set("opened", data.opened);
      model.save_changes();
    }
  };
  const shown = { page: load, opened: () => tell("opened"), numbers: () => tell("numbers") };
  window.addEventListener("message", hear);
  for (const [name, show] of Object.entries(shown)) model.on(`change:${name}`, show);
  load();
  el.append(frame);
  return () => {
    window.removeEventListener("message", hear);
    for (const [name, show] of Object.entries(shown)) model.off(`change:${name}`, show);
  };
}

export default { render };
