// The start of the page.

const app = new App(DATA);
new Keys(app);
buildLegend(app);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => themeChanged(app));
new Live(app);
document.documentElement.dataset.ready = "true";
