// The site: places on a page come alive, explorers when they come near, each with its state in the address.
import { read, written } from "./address.js";
import { make } from "./controls.js";
import { mount } from "./hosts.js";
import { mount as ask } from "./prediction.js";
import { Tour } from "./tour.js";

const NEAR = "600px"; // below the window: what lies so near is loaded already
const FOLDER = new URL(".", document.currentScript?.src ?? document.baseURI); // where this script lies, beside explorers'
const MOST_TOLD = 3; // parts of an address that are named
const waiting = new Map(); // places by the name of the explorer whose file is on its way

/** Load the file of an explorer: a script, since a page on disk may load nothing else. */
function load(name) {
  const script = make("script", { src: new URL(`${name}.js`, FOLDER).href, async: true });
  script.addEventListener("error", () => tell(waiting.get(name), "This explorer could not be loaded. Load the page again."));
  document.head.append(script);
}

/** A line in words below an explorer. */
function tell(place, words) {
  const line = place.parentElement.querySelector(".told") ?? make("p", { className: "told", role: "status" });
  line.textContent = words;
  if (words) place.after(line);
  else line.remove();
}

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;

/** An address of this page that opens an explorer in a state. */
const link = (spec, state) => `${location.href.split("#")[0]}#${written(spec, state)}`;

/** What the address says of an explorer; what it says in vain is told. */
function asked(place, spec) {
  const found = read(spec, location.hash);
  if (!found) {
    tell(place, "");
    return location.hash ? null : {};
  }
  const parts = found.left.slice(0, MOST_TOLD).map((part) => `“${part.slice(0, 40)}”`).join(", ");
  const more = found.left.length > MOST_TOLD ? ` and ${found.left.length - MOST_TOLD} more` : "";
  tell(place, parts && `The address says ${parts}${more}, which this explorer cannot follow: it opens without that.`);
  return found.changes;
}

/** The file of an explorer calls this. */
function arrived(spec, arrays) {
  const place = waiting.get(spec.name);
  const begun = wanted(spec.name) ? asked(place, spec) : null;
  let tour = null;
  const host = {
    state: begun ?? {},
    drawn() { // now it is as high as it will be
      delete host.drawn;
      if (begun) place.scrollIntoView();
    },
    save: (state) => history.replaceState(null, "", `#${written(spec, state)}`),
    link: (state) => link(spec, state),
  };
  const panel = mount(place, spec, bytes(arrays), null, host);
  addEventListener("hashchange", () => {
    const changes = asked(place, spec);
    if (!changes) return;
    tour?.stop();
    panel.take({ ...spec.state, ...changes });
  });
  addLarge(place, panel);
  if (begun && Object.keys(begun).length) panel.source.opened?.(panel);
  if (place.dataset.tour) tour = new Tour(panel, JSON.parse(place.dataset.tour), document.querySelector(".tour"), !begun);
}

/** A button that gives a panel the whole screen, for a class. */
function addLarge(place, panel) {
  if (!document.fullscreenEnabled) return;
  const button = make("button", { type: "button", className: "quiet", title: "full screen" }, "large");
  button.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : place.requestFullscreen()));
  panel.sheet.querySelector(".buttons").append(button);
}

/** Whether the address is about an explorer: it is loaded though it lies far below. */
const wanted = (name) => location.hash.slice(1).split("?")[0] === name;

/** What is wider than its place can be moved by keys, too. */
function giveFocus() {
  for (const part of document.querySelectorAll("pre, .wide, .table-wrapper")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    else part.removeAttribute("tabindex");
  }
}

/* global DOCUMENTATION_OPTIONS */
/** The search shows the words around what it found, which it reads from other pages: on a disk it may not. */
function calmSearch() {
  if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

/** Wake all places of the page. */
export function begin() {
  globalThis.explorerArrived = arrived;
  calmSearch();
  giveFocus();
  addEventListener("resize", giveFocus);
  for (const place of document.querySelectorAll("[data-prediction]")) ask(place, JSON.parse(place.dataset.prediction));
  const eye = new IntersectionObserver((seen) => {
    for (const { target } of seen.filter((one) => one.isIntersecting)) {
      eye.unobserve(target);
      load(target.dataset.place);
    }
  }, { rootMargin: NEAR });
  for (const place of document.querySelectorAll("[data-place]")) {
    waiting.set(place.dataset.place, place);
    if (wanted(place.dataset.place)) load(place.dataset.place);
    else eye.observe(place);
  }
}
