// Predictions: a question that takes a guess (role "ask"), and what happened beside the guess (role "answer").
import { followTheme, isDark, palette } from "./colours.js";
import { make } from "./controls.js";
import { counted, distance, Guess, guesses, keep, mark, places, share, written } from "./guess.js";
import { number } from "./sentence.js";

const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

// The question ---------------------------------------------------------------------------------------------

/** Options as buttons. Arrow keys go from one to the next, and Enter or the space bar says it. */
function choice(spec, say) {
  const buttons = spec.options.map((option) => {
    const dot = spec.colours[option] ? [make("i", { style: `--dot: var(--of-${spec.options.indexOf(option)})` })] : [];
    const button = make("button", { type: "button", role: "radio" }, ...dot, option);
    button.addEventListener("click", () => say(option));
    return button;
  });
  const element = make("div", { className: "row", role: "radiogroup", "aria-label": spec.question }, ...buttons);
  element.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    const next = buttons.indexOf(document.activeElement) + KEYS[event.key];
    buttons.at(next % buttons.length).focus();
    event.preventDefault();
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

/** One end of a scale. */
const end = (value) => make("span", { className: "end" }, number(value));

/** A number on a slider, which counts when the reader commits to it. */
function slider(spec, say) {
  const { scale, unit, question } = spec;
  const values = places(scale);
  const input = make("input", { type: "range", min: 0, max: values.length - 1, step: 1, "aria-label": question });
  const output = make("output", { "aria-live": "off" }); // the slider itself says its value
  const commit = make("button", { type: "button", className: "main" }, "commit");
  let state = [null, false]; // what was said, and whether it stays
  const value = () => values[Number(input.value)];
  const moved = () => {
    output.textContent = counted(value(), unit);
    input.setAttribute("aria-valuetext", output.textContent);
    commit.setAttribute("aria-disabled", String(state[1] || state[0] === value())); // it keeps the focus
  };
  input.value = Math.round(values.length / 2);
  input.addEventListener("input", moved);
  commit.addEventListener("click", () => say(value()));
  output.style.setProperty("--wide", `${0.62 * counted(scale.high, unit).length}em`); // it does not move the button
  const element = make("div", { className: "slide" }, end(scale.low), input, end(scale.high), output, commit);
  return { element, hint: "Move the slider to what you expect, then commit.", show(said, locked) {
    state = [said, locked];
    if (said !== null) input.value = values.findIndex((at) => at >= said);
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
  const marks = [...(said === null ? [] : [place("guess", "you said", said)]), place("happened", "it was", value)];
  const drawn = make("div", { className: "scale" }, ...marks);
  return make("div", { className: "both", "aria-hidden": "true" }, end(scale.low), drawn, end(scale.high)); // words say it
}

/** What happened, beside the guess. With `hides` it is not shown before there is a guess, or before the reader asks. */
function answer(sheet, spec, guess, hides) {
  const words = make("p", { className: "said", role: "status", tabIndex: -1 });
  const more = make("div", {});
  const showMe = make("button", { type: "button" }, "show me");
  sheet.append(make("p", { className: "hint" }, spec.question), words, more);
  let shown = !hides;
  let inSight = false;
  const show = () => {
    const said = guess.get("said");
    words.setAttribute("aria-live", inSight ? "polite" : "off"); // nobody is told what lies further down
    shown ||= said !== null;
    sheet.parentElement.toggleAttribute("data-waiting", !shown); // a page may keep back what else would tell it
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
  showMe.addEventListener("click", () => {
    shown = true;
    show();
    words.focus(); // the button, which had the focus, is gone
  });
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
    spec.options?.forEach((option, i) => sheet.style.setProperty(`--of-${i}`, colours[option] ?? "none"));
  };
  return followTheme(recolour);
}

/**
 * JupyterLab does not hear of presses and keys here. So the space bar presses a button, and Shift+Enter, which it does
 * hear, runs the next cell: it would take this one for the cell in hand, and ask afresh.
 */
function keepFromJupyterLab(sheet) {
  for (const name of ["mousedown", "focusin"]) sheet.addEventListener(name, (event) => event.stopPropagation());
  sheet.addEventListener("keydown", (event) => {
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) event.stopPropagation();
    else if (event.key === "Enter") event.preventDefault(); // no press of the button that has the focus
  });
}

/** Put one of the two into an element; gives back what closes it. */
function open(element, spec, guess, hides) {
  const sheet = make("div", { className: "sheet" });
  element.classList.add("prediction");
  element.dataset.name = spec.name;
  element.dataset.role = spec.role;
  element.replaceChildren(sheet);
  const show = (spec.role === "ask" ? ask : answer)(sheet, spec, guess, hides);
  const forget = watchTheme(element, sheet, spec);
  keepFromJupyterLab(sheet);
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
  if (!guesses.has(spec.name)) guesses.set(spec.name, new Guess(spec.name));
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
