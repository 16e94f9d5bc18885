// The controls of a panel: one for each field of its State, as the field's metadata says.
import { pad } from "./pad.js";
import { formatted, number } from "./sentence.js";

/** Make an element with attributes and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** How many steps a slider has. */
const stepsOf = ({ low, high, step, log }) => Math.round((log ? Math.log10(high / low) : high - low) / step);

/** The value of a slider after some steps, without the last digits of a sum of decimals. */
export function valueAt(field, steps) {
  if (field.log) return Number((10 ** (Math.log10(field.low) + steps * field.step)).toPrecision(6));
  return Number((field.low + steps * field.step).toPrecision(9));
}

/** The steps of a slider that come nearest to a value, inside its ends. */
export function stepAt(field, value) {
  const steps = (field.log ? Math.log10(Math.max(value, 1e-300) / field.low) : value - field.low) / field.step;
  return Math.min(Math.max(Math.round(steps), 0), stepsOf(field));
}

/** The value of a field that comes nearest to one that a hand pointed at. */
export const snapped = (field, value) => valueAt(field, stepAt(field, value));

/** How the value of a slider is written. */
const written = (field, value) => (field.format ? formatted(value, field.format) : number(value, 2));

/** Where on the track a value stands, 0 ... 1. */
const share = (field, value) => stepAt(field, value) / stepsOf(field);

/** Where a share of the track is, in CSS: the middle of the thumb does not reach the track's ends. */
const place = (part) => `calc(${(100 * part).toFixed(2)}% + ${(0.5 - part).toFixed(3)} * var(--thumb))`;

/** The classes of a control: a row of its own, half of one, or a place among the small ones. */
const sizeOf = ({ large }) => (large ? `large ${large === "half" ? "half" : ""}` : "small");

/** A slider: a large one has its own row, marks below its track, and a track that may be coloured. */
function slider(name, field, changed) {
  const input = make("input", {
    type: "range", min: 0, max: stepsOf(field), step: 1, "data-name": name, "data-lm-suppress-shortcuts": "true",
    "aria-label": `${field.label}${field.hint ? `, ${field.hint}` : ""}`,
  });
  const output = make("output", { "aria-live": "off" }); // the slider itself says its value
  input.addEventListener("input", () => changed(valueAt(field, Number(input.value))));
  const label = make("span", { className: "name" }, field.label, make("small", {}, field.hint));
  const marks = field.marks.map(([value, words]) => {
    const mark = make("span", {}, words);
    mark.style.left = place(share(field, value));
    return mark;
  });
  const track = make("span", { className: "track" }, input, make("span", { className: "marks" }, ...marks));
  const element = make("label", { className: sizeOf(field) }, label, track, output);
  return {
    element,
    show(value, frame) {
      input.value = stepAt(field, value);
      const words = frame?.[field.says] ?? written(field, value);
      if (words !== output.textContent) {
        output.textContent = words;
        input.setAttribute("aria-valuetext", words);
      }
      if (field.track && frame?.[field.track]) input.style.setProperty("--track", coloured(frame[field.track].data));
    },
  };
}

/** A gradient for a track from numbers -1 (well) ... 1 (badly) at places spread evenly. */
function coloured(values) {
  const stops = Array.from(values, (v, i) => {
    const colour = v > 0 ? "var(--bad)" : "var(--good)";
    const strength = Math.round(20 + 70 * Math.min(Math.abs(v), 1));
    return `color-mix(in srgb, ${colour} ${strength}%, var(--grid)) ${place(i / (values.length - 1))}`;
  });
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

const MOST_IN_SIGHT = 10; // options that a row may have

/** Options in a row, all in sight; its options are [value, label]. */
function row(name, field, changed) {
  const group = `${name} ${Math.random()}`; // arrow keys go from one to the next within a panel
  const inputs = field.options.map(([value], i) => {
    const input = make("input", { type: "radio", name: group, value: i, "data-lm-suppress-shortcuts": "true" });
    input.addEventListener("change", () => changed(value));
    return input;
  });
  const pills = inputs.map((input, i) => make("label", { className: "pill" }, input, field.options[i][1]));
  const element = make("div", { className: "row", role: "radiogroup", "aria-label": field.label, "data-name": name },
    make("span", { className: "name" }, field.label), ...pills);
  return { element, show: (value) => inputs.forEach((input, i) => { input.checked = field.options[i][0] === value; }) };
}

/** A list to choose from; its options are [value, label]. */
function choice(name, field, changed) {
  if (field.large && field.options.length <= MOST_IN_SIGHT) return row(name, field, changed);
  const options = field.options.map(([, label], i) => make("option", { value: i }, label));
  const input = make("select", { "data-name": name, "aria-label": field.label }, ...options);
  input.addEventListener("change", () => changed(field.options[Number(input.value)][0]));
  const element = make("label", { className: field.large ? "large" : "small" }, make("span", { className: "name" }, field.label), input);
  return { element, show: (value) => { input.value = field.options.findIndex(([option]) => option === value); } };
}

/** A box to type into. */
function box(name, field, changed) {
  const input = make("input", {
    type: "text", "data-name": name, placeholder: field.hint, maxLength: 60, "data-lm-suppress-shortcuts": "true",
    "aria-label": field.label,
  });
  input.addEventListener("input", () => changed(input.value));
  const element = make("label", { className: sizeOf(field) }, make("span", { className: "name" }, field.label), input);
  return { element, show: (value) => { if (input.value !== value) input.value = value; } };
}

const KINDS = { slider, choice, box, pad };

/** The control of a field, {element, show(value, frame)}; null for a field that has none. `changed` gets its value. */
export function control(name, field, changed) {
  return KINDS[field.kind]?.(name, field, changed) ?? null;
}
