// Links in JupyterLab. It opens another notebook, looks for the place that a link names before that is drawn, and stays
// at the top; and it does not open the folded part that a place lies in. Here the place is looked for until it stands still.
const PAUSE = 150, PATIENCE = 60_000; // milliseconds between two looks, and until it is given up
const STILL = 8; // looks in which the place did not move
const ONCE = Symbol.for("mapping_lib.landing"); // every panel brings this module along
const NOTEBOOK = ".jp-NotebookPanel";

/** The notebook that the reader sees. */
function shown() {
  return [...document.querySelectorAll(NOTEBOOK)].find((panel) => panel.offsetParent !== null);
}

/** The element that a link's part behind "#" names in a notebook: JupyterLab keeps ids under a name of its own. */
function placeIn(notebook, name) {
  const quoted = CSS.escape(name);
  return notebook.querySelector(`[data-jupyter-id="${quoted}"], [id="${quoted}"]`);
}

function unfold(element) {
  for (let part = element.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
}

/** Go to a place, again and again while what stands above it is still being drawn; the reader's own hand ends it. */
function land(name, from, elsewhere) {
  const end = performance.now() + PATIENCE;
  const hands = ["wheel", "pointerdown", "keydown"];
  let still = 0, last = null, timer = 0;
  const stop = () => {
    clearInterval(timer);
    for (const hand of hands) document.removeEventListener(hand, stop, true);
  };
  const look = () => {
    const notebook = shown();
    const place = notebook && (!elsewhere || notebook !== from) ? placeIn(notebook, name) : null;
    if (!place) return performance.now() > end ? stop() : undefined;
    unfold(place);
    const top = Math.round(place.getBoundingClientRect().top);
    still = top === last ? still + 1 : 0;
    if (still === 0) place.scrollIntoView();
    last = Math.round(place.getBoundingClientRect().top);
    if (still >= STILL || performance.now() > end) stop();
  };
  timer = setInterval(look, PAUSE);
  for (const hand of hands) document.addEventListener(hand, stop, true);
}

function clicked(event) {
  const link = event.target.closest?.(`${NOTEBOOK} .jp-RenderedMarkdown a[href*="#"]`);
  if (!link || event.button !== 0) return;
  const [path, name] = link.getAttribute("href").split("#");
  if (/^https?:/.test(path) && !path.startsWith(location.origin)) return;
  land(decodeURIComponent(name), link.closest(NOTEBOOK), path !== "");
}

/** From now on links in notebooks lead to their place at the first click. */
export function followLinks() {
  if (globalThis[ONCE]) return;
  globalThis[ONCE] = true;
  document.addEventListener("click", clicked, true);
}
