// A guess and its words: where it is kept, and how far it lies from what happened.
import { valueAt } from "./controls.js";
import { number } from "./sentence.js";

const CLOSE = 0.05; // as a share of the scale: a guess that misses by less is close

/**
 * The ask's model where there is no kernel: "said", the guess, and "answered", whether its answer was in sight. With a
 * name it lasts as long as the page's tab: it is there again when the page is loaded again.
 */
export class Guess {
  values = { said: null, answered: false };
  heard = new Set();
  constructor(name = "") {
    this.key = name && `prediction ${name}`;
    try {
      Object.assign(this.values, JSON.parse(sessionStorage.getItem(this.key)));
    } catch { /* a page may have no store */ }
  }
  get(name) { return this.values[name]; }
  set(name, value) { this.values[name] = value; this.heard.forEach((act) => act()); }
  on(_, act) { this.heard.add(act); }
  off(_, act) { this.heard.delete(act); }
  save_changes() { if (this.key) sessionStorage.setItem(this.key, JSON.stringify(this.values)); }
}

export const guesses = new Map(); // of a page without a kernel, by the name of the prediction

/** Keep what the reader said, or that the answer was in sight; a kernel may be gone. */
export function keep(guess, name, value) {
  guess.set(name, value);
  try { guess.save_changes(); } catch { /* the page goes on without it */ }
}

// Words ----------------------------------------------------------------------------------------------------

/** A number with its unit, as prediction.py writes it: "1 step", "12 steps". */
export function counted(value, unit) {
  const single = value === 1 && unit.length > 2;
  return `${number(value)} ${single ? unit.replace(/s$/, "") : unit}`.trim();
}

/** A guess, or what happened, in words. */
export const written = ({ scale, unit }, value) => (scale ? counted(value, unit) : value);

/** How far a number that was guessed lies from what happened, in words. */
export function distance({ scale, unit, value }, said) {
  if (number(said) === number(value)) return "Exactly.";
  const [less, more] = scale.whole && unit !== "%" ? ["few", "many"] : ["low", "high"];
  const way = `too ${said < value ? less : more}`;
  const factor = Math.max(said / value, value / said);
  if (scale.log && value > 0) return `T${way.slice(1)} by a factor of ${number(factor < 10 ? factor : Math.round(factor), 2)}.`;
  return `${counted(Math.abs(said - value), unit === "%" ? "percentage points" : unit)} ${way}.`;
}

/** The numbers that a slider can say, each once, in few digits. */
export function places(scale) {
  const inside = Array.from({ length: scale.steps }, (_, i) => valueAt(scale, i));
  const rounded = inside.map((value) => (scale.whole ? Math.round(value) : Number(value.toPrecision(3))));
  return [...new Set([scale.low, ...rounded, scale.high])].filter((value) => value >= scale.low && value <= scale.high);
}

/** Where a value lies on a scale: 0 ... 1 between its ends, less or more beyond. */
export function share({ low, high, log }, value) {
  const along = (v) => (log ? Math.log(Math.max(v, 1e-300)) : v);
  return (along(value) - along(low)) / (along(high) - along(low));
}

/** The mark of a guess: the same as what happened, close to it, or different. */
export function mark({ scale, value }, said) {
  if (scale ? number(said) === number(value) : said === value) return "✓";
  return scale && Math.abs(share(scale, said) - share(scale, value)) <= CLOSE ? "≈" : "≠";
}
