// Predictions: a question that takes a guess (role "ask"), and what happened beside the guess (role "answer").
import { isDark, palette } from "./colours.js";
import { make, stepAt, valueAt } from "./controls.js";
import { number } from "./sentence.js";

const CLOSE = 0.05; // as a share of the scale: a guess that misses by less is close
const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** The ask's model where there is no kernel: "said", the guess, and "answered", whether its answer was in sight. */
class Guess {
  values = { said: null, answered: false };
  heard = new Set();
  get(name) { return this.values[name]; }
  set(name, value) { this.values[name] = value; this.heard.forEach((act) => act()); }
  on(_, act) { this.heard.add(act); }
  off(_, act) { this.heard.delete(act); }
  save_changes() {}
}

const guesses = new Map(); // of a page without a kernel, by the name of the prediction

/** Keep what the reader said, or that the answer was in sight; a kernel may be gone. */
function keep(guess, name, value) {
  guess.set(name, value);
  try { guess.save_changes(); } catch { /* the page goes on without it */ }
}

// Words ----------------------------------------------------------------------------------------------------

/** A number with its unit, as prediction.py writes it: "1 step", "12 steps". */
function counted(value, unit) {
  const single = value === 1 && unit.length > 2;
  return `${number(value)} ${single ? unit.replace(/s$/, "") : unit}`.trim();
}

/** A guess, or what happened, in words. */
const written = ({ scale, unit }, value) => (scale ? counted(value, unit) : value);

/** How far a number that was guessed lies from what happened, in words. */
function distance({ scale, unit, value }, said) {
  if (number(said) === number(value)) return "Exactly.";
  const [less, more] = scale.whole ? ["few", "many"] : ["low", "high"];
  const way = `too ${said < value ? less : more}`;
  if (scale.log && value > 0) return `${way} by a factor of ${number(Math.max(said / value, value / said), 2)}.`.replace("t", "T");
  return `${counted(Math.abs(said - value), unit === "%" ? "percentage points" : unit)} ${way}.`;
}

/** Where a value lies on a scale: 0 ... 1 between its ends, less or more beyond. */
function share({ low, high, log }, value) {
  const along = (v) => (log ? Math.log(Math.max(v, 1e-300)) : v);
  return (along(value) - along(low)) / (along(high) - along(low));
}

/** The mark of a guess: the same as what happened, close to it, or different. */
function mark({ scale, value }, said) {
  if (scale ? number(said) === number(value) : said === value) return "✓";
  return scale && Math.abs(share(scale, said) - share(scale, value)) <= CLOSE ? "≈" : "≠";
}

// The question ---------------------------------------------------------------------------------------------

/** Options as buttons. Arrow keys go from one to the next, and Enter or the space bar says it. */
function choice(spec, say) {
  const buttons = spec.options.map((option) => {
    const dot = make("i", {});
    dot.style.background = spec.colours[option] ? `var(--option-${spec.options.indexOf(option)})` : "none";
    const button = make("button", { type: "button", role: "radio" }, ...(spec.colours[option] ? [dot] : []), option);
    button.addEventListener("click", () => say(option));
    return button;
  });
  const element = make("div", { className: "row", role: "radiogroup", "aria-label": spec.question }, ...buttons);
  element.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    const next = buttons.indexOf(document.activeElement) + KEYS[event.key];
    buttons.at(next % buttons.length).focus();
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would go to another cell
  });
  return { element, hint: "Choose what you expect.", show(said, locked) {
    buttons.forEach((button, i) => {
      const chosen = spec.options[i] === said;
      button.setAttribute("aria-checked", String(chosen));
      button.setAttribute("aria-disabled", String(locked));
      button.tabIndex = chosen || (!spec.options.includes(said) && i === 0) ? 0 : -1;
    });
  } };
}

/** A number on a slider, which counts when the reader commits to it. */
function slider(spec, say) {
  const { scale, unit, question } = spec;
  const input = make("input", {
    type: "range", min: 0, max: stepAt(scale, scale.high), step: 1, "aria-label": question, "data-lm-suppress-shortcuts": "true",
  });
  const output = make("output", {});
  const commit = make("button", { type: "button", className: "main" }, "commit");
  let state = [null, false]; // what was said, and whether it stays
  const value = () => {
    const exact = Number(input.value) === Number(input.max) ? scale.high : valueAt(scale, Number(input.value));
    return scale.whole ? Math.round(exact) : Number(exact.toPrecision(3));
  };
  const moved = () => {
    output.textContent = counted(value(), unit);
    input.setAttribute("aria-valuetext", output.textContent);
    commit.disabled = state[1] || state[0] === value();
  };
  input.value = Math.round(input.max / 2);
  input.addEventListener("input", moved);
  commit.addEventListener("click", () => say(value()));
  const ends = make("span", { className: "marks" }, ...[scale.low, scale.high].map((end) => make("span", {}, number(end))));
  const element = make("div", { className: "slide" }, make("span", { className: "track" }, input, ends), output, commit);
  return { element, hint: "Move the slider to what you expect, then commit.", show(said, locked) {
    state = [said, locked];
    if (said !== null) input.value = stepAt(scale, said);
    input.disabled = locked;
    moved();
  } };
}

/** The question with its buttons or its slider; what was said may be changed until the answer was in sight. */
function ask(sheet, spec, guess) {
  const locked = () => guess.get("answered") && guess.get("said") !== null;
  const control = (spec.scale ? slider : choice)(spec, (value) => { if (!locked()) keep(guess, "said", value); });
  const words = make("p", { className: "said", role: "status" });
  sheet.append(make("h3", {}, spec.question), control.element, words);
  return () => {
    const said = guess.get("said");
    control.show(said, locked());
    if (said === null) words.replaceChildren(control.hint);
    else words.replaceChildren("You said ", make("b", {}, written(spec, said)), locked() ? "." : ". You may still change it.");
  };
}

// The answer -----------------------------------------------------------------------------------------------

/** A guess and what happened on one line; what lies beyond an end of the scale stands there, with an arrow. */
function line(spec, said) {
  const { scale, unit, value } = spec;
  const place = (name, words, what) => {
    const at = share(scale, what);
    const text = make("span", {}, `${at < 0 ? "← " : ""}${words} ${counted(what, unit)}${at > 1 ? " →" : ""}`);
    const found = make("div", { className: name }, make("i", {}), text);
    found.style.setProperty("--at", Math.min(Math.max(at, 0), 1));
    return found;
  };
  const places = [...(said === null ? [] : [place("guess", "you said", said)]), place("happened", "it was", value)];
  return make("div", { className: "line", "aria-hidden": "true" }, // in words, it stands above
    make("span", {}, number(scale.low)), make("div", { className: "scale" }, ...places), make("span", {}, number(scale.high)));
}

/** What happened, beside the guess. With `hides` it is not shown before there is a guess, or before the reader asks. */
function answer(sheet, spec, guess, hides) {
  const words = make("p", { className: "said", role: "status" });
  const more = make("div", {});
  const showMe = make("button", { type: "button", className: "quiet" }, "show me");
  sheet.append(make("p", { className: "hint" }, spec.question), words, more);
  let shown = !hides;
  let inSight = false;
  const show = () => {
    const said = guess.get("said");
    shown ||= said !== null;
    if (!shown) {
      words.replaceChildren("What happened is shown here when you have made your guess, or at once: ", showMe);
      return;
    }
    const was = ["It was ", make("b", {}, spec.was), "."];
    if (said === null) words.replaceChildren("No guess this time. ", ...was);
    else {
      const sign = mark(spec, said);
      const badge = make("span", { className: "badge", "data-mark": sign, "aria-hidden": "true" }, sign);
      words.replaceChildren(badge, "You said ", make("b", {}, written(spec, said)), ". ", ...was, spec.scale ? ` ${distance(spec, said)}` : "");
    }
    more.replaceChildren(...(spec.scale ? [line(spec, said)] : []));
    if (inSight && !guess.get("answered")) keep(guess, "answered", true);
  };
  showMe.addEventListener("click", () => { shown = true; show(); });
  const eye = new IntersectionObserver((all) => { inSight = all.at(-1).isIntersecting; show(); }, { threshold: 0.5 });
  eye.observe(sheet);
  show.close = () => eye.disconnect();
  return show;
}

// Where they live ------------------------------------------------------------------------------------------

/** The colours of the page around, now and when it changes its theme; gives back what ends that. */
function watchTheme(element, sheet, spec) {
  const recolour = () => {
    const colours = palette(spec.colours, isDark(element));
    for (const name of ["card", "ink", "soft", "grid", "good"]) sheet.style.setProperty(`--${name}`, colours[name]);
    sheet.style.setProperty("--rail", colours.dark ? "#4a525b" : "#c4cad1");
    sheet.style.setProperty("--focus", colours.MAML);
    spec.options?.forEach((option, i) => sheet.style.setProperty(`--option-${i}`, colours[option]));
  };
  const watcher = new MutationObserver(recolour);
  watcher.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", recolour);
  recolour();
  return () => { watcher.disconnect(); dark.removeEventListener("change", recolour); };
}

function open(element, spec, guess, hides) {
  const sheet = make("div", { className: "sheet" });
  element.classList.add("prediction");
  element.dataset.name = spec.name;
  element.dataset.role = spec.role;
  element.replaceChildren(sheet);
  const show = (spec.role === "ask" ? ask : answer)(sheet, spec, guess, hides);
  const forget = watchTheme(element, sheet, spec);
  // In JupyterLab the next cell stays the one that Shift+Enter runs; this one would ask afresh.
  for (const name of ["mousedown", "focusin"]) sheet.addEventListener(name, (event) => event.stopPropagation());
  const changes = ["change:said", "change:answered"];
  for (const name of changes) guess.on(name, show);
  show();
  return () => {
    for (const name of changes) guess.off(name, show);
    show.close?.();
    forget();
  };
}

/** Open one of a prediction's two parts in an element of a page without a kernel; the two find each other by name. */
export function mount(element, spec) {
  if (!guesses.has(spec.name)) guesses.set(spec.name, new Guess());
  return open(element, spec, guesses.get(spec.name), true);
}

/** The model of the question that an answer belongs to; a guess of nobody, where it is gone. */
async function asked(model) {
  try {
    return (await model.widget_manager.get_model(model.get("_ask"))) ?? new Guess();
  } catch {
    return new Guess();
  }
}

/** anywidget's door. */
async function render({ model, el }) {
  const spec = JSON.parse(model.get("_spec"));
  return open(el, spec, spec.role === "ask" ? model : await asked(model), false);
}

export const widget = { render };
