// The state of an explorer in an address: #name?field=value&..., with what differs from how it opens.
import { snapped } from "./controls.js";

const MOST_LETTERS = 60; // as the boxes of a panel take

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** How a value stands in an address: lists of numbers with commas, drawings as JSON. */
function asText(field, value) {
  if (field.kind === "pad") return JSON.stringify(value);
  return Array.isArray(value) ? value.map((v) => Number(v.toPrecision(6))).join(",") : String(value);
}

/** The part of an address behind "#" that opens an explorer in a state. */
export function written(spec, state) {
  const changed = Object.keys(spec.state).filter((name) => !same(state[name], spec.state[name]));
  const pairs = changed.map((name) => `${name}=${encodeURIComponent(asText(spec.fields[name], state[name])).replaceAll("%2C", ",")}`);
  return [spec.name, pairs.join("&")].filter(Boolean).join("?");
}

const isShare = (v) => typeof v === "number" && v >= 0 && v <= 1;
const isDrawing = (strokes) => Array.isArray(strokes) && strokes.every((stroke) => Array.isArray(stroke) && stroke.length > 0
  && stroke.every((point) => Array.isArray(point) && point.length === 2 && point.every(isShare)));

/** A number that a control could give, nearest to what is written; undefined for what is no number. */
function numberOf(field, text) {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? snapped(field, value) : undefined;
}

function listOf(field, text) {
  const values = text === "" ? [] : text.split(",").map((part) => numberOf(field, part));
  return values.length >= field.least && values.length <= field.most && !values.includes(undefined) ? values : undefined;
}

function drawingsOf({ places }, text) {
  try {
    const drawings = JSON.parse(text);
    return Array.isArray(drawings) && drawings.length === places.length && drawings.every(isDrawing) ? drawings : undefined;
  } catch {
    return undefined;
  }
}

/** The value that a field has by the text of an address; undefined where it cannot have it. */
const READ = {
  slider: numberOf,
  hidden: numberOf,
  choice: ({ options }, text) => options.map(([value]) => value).find((value) => String(value) === text),
  box: (_, text) => text.slice(0, MOST_LETTERS),
  numbers: listOf,
  pad: drawingsOf,
};

/** The text behind a sign of "%" and its like; what is none stays as it is. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Lists that belong together have one length: otherwise all of them are left as they were. */
function withoutTorn(spec, changes) {
  const torn = Object.values(spec.fields).flatMap(({ counts }) => {
    const lengths = new Set((counts ?? []).map((name) => (changes[name] ?? spec.state[name]).length));
    return lengths.size > 1 ? counts : [];
  });
  const kept = Object.entries(changes).filter(([name]) => !torn.includes(name));
  return { changes: Object.fromEntries(kept), torn: torn.filter((name) => name in changes) };
}

/**
 * What an address says of an explorer: the changes of its state, and the parts, as they are written, that say nothing
 * it could follow; null where the address is about something else.
 */
export function read(spec, hash) {
  const [, name, query = ""] = /^#?([^?]*)\??(.*)$/s.exec(hash);
  if (decoded(name) !== spec.name) return null;
  const [all, left] = [{}, []];
  for (const part of query.split("&").filter(Boolean)) {
    const [, field, text = ""] = /^([^=]*)=?(.*)$/s.exec(part);
    const value = Object.hasOwn(spec.state, field) ? READ[spec.fields[field].kind](spec.fields[field], decoded(text)) : undefined;
    if (value === undefined) left.push(decoded(part));
    else all[field] = value;
  }
  const { changes, torn } = withoutTorn(spec, all);
  return { changes, left: [...left, ...torn] };
}
