// Words as data: numbers, templates and sentences, by the rules of mapping_lib/page/sentence.py, which are tested equal.

/** A number with few digits: 0.0123, 1.23, 123, 1.2e+04; a whole one as it is; a dash for what is not a number. */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  const plain = power >= -4 && power < digits;
  const written = plain ? value.toFixed(Math.max(0, digits - 1 - power)) : mantissa;
  const short = written.includes(".") ? written.replace(/\.?0+$/, "") : written;
  const tail = plain ? "" : `e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return (short + tail).replaceAll("-", "−");
}

/** A value as a template's format says: "" as it is, ".2f", ".0%", ".3g", or a noun that is counted ("inner step"). */
export function formatted(value, format) {
  if (typeof value !== "number") return String(value);
  if (format === "") return number(value);
  const numeric = /^\.(\d+)([fg%])$/.exec(format);
  if (!numeric) return `${number(value)} ${format}${value === 1 ? "" : "s"}`;
  const [, digits, kind] = numeric;
  if (kind === "g") return number(value, Number(digits));
  if (!Number.isFinite(value)) return "–";
  const fixed = (kind === "%" ? 100 * value : value).toFixed(Number(digits));
  return (Number(fixed) === 0 ? fixed.replace("-", "") : fixed).replace("-", "−") + (kind === "%" ? " %" : "");
}

/** Fill the places of a template, such as "error {error:.2f} after {steps:inner step}". */
export function filled(template, values) {
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name, format = "") => formatted(values[name], format));
}

/** Whether a condition holds: "" always, "name" where that value is not zero or empty, "not name" where it is. */
export function holds(condition, values) {
  if (!condition) return true;
  const negated = condition.startsWith("not ");
  return Boolean(values[negated ? condition.slice(4) : condition]) !== negated;
}

/** The words for a set of values: of each group of [condition, template] the first that holds, joined by blanks. */
export function sentence(groups, values) {
  const parts = groups.map((group) => group.find(([condition]) => holds(condition, values)));
  const words = parts.map((part) => (part ? filled(part[1], values) : ""));
  return words.filter(Boolean).join(" ");
}

/** Split words at their marks: **bold** and [words|colour]; gives {text, bold, colour} pieces. */
export function pieces(words) {
  return words.split(/(\*\*.+?\*\*|\[[^\]|]+\|[^\]]+\])/).filter(Boolean).map((part) => {
    if (part.startsWith("**")) return { text: part.slice(2, -2), bold: true };
    const coloured = /^\[([^\]|]+)\|([^\]]+)\]$/.exec(part);
    return coloured ? { text: coloured[1], bold: true, colour: coloured[2] } : { text: part };
  });
}

/** Words without their marks, for a screen reader. */
export const plain = (words) => pieces(words).map((piece) => piece.text).join("");

/** What templates are filled with: the state, with the labels of choices, and the numbers and words of the frame. */
export function valuesOf(state, frame, fields) {
  const values = {};
  for (const [name, value] of Object.entries(state)) {
    const { options } = fields[name];
    values[name] = options ? options.find(([option]) => option === value)?.[1] ?? value : value;
  }
  for (const [name, value] of Object.entries(frame ?? {})) {
    if (value?.shape?.length === 0) [values[name]] = value.data;
    else if (!value?.shape) values[name] = value;
  }
  return values;
}
