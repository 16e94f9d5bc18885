// Axes: where a picture's parts stand, the scales of each, their ticks and labels.
import { filled, number } from "./sentence.js";

const LEFT = 3.6, RIGHT = 0.9, TOP = 1.7, BOTTOM = 3.1; // margins, in heights of the small type

/** Numbers at which an axis has ticks: 1, 2 or 5 times a power of ten, or on a logarithmic axis whole powers. */
export function ticks(low, high, log, room) {
  if (log) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const stride = Math.ceil((last - first + 1) / Math.max(2, room));
    return Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, i) => 10 ** (first + i * stride));
  }
  const rough = (high - low) / Math.max(2, room);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((multiple) => multiple * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** One scale: from values low ... high to pixels from ... to, and back. */
function scale([low, high], log, from, to) {
  const f = log ? Math.log10 : (v) => v;
  const [a, b] = [f(low), f(high)];
  const forth = (v) => from + ((f(v) - a) / (b - a)) * (to - from);
  const back = (pixel) => {
    const place = a + ((pixel - from) / (to - from)) * (b - a);
    return log ? 10 ** place : place;
  };
  return { low, high, log, forth, back };
}

/** A value that can be drawn: what is no number, or far outside, stands far outside the picture. */
function drawable(v, { low, high, log }) {
  if (log) return Number.isNaN(v) ? high * 10 : Math.min(Math.max(v, low / 10), high * 10);
  const span = high - low;
  return Number.isNaN(v) ? high + 2 * span : Math.min(Math.max(v, low - 2 * span), high + 2 * span);
}

/** One pair of axes in a box of pixels; `spec` is what `axes()` in Python made. */
export class Axes {
  constructor(spec, [left, top, width, height], frame) {
    Object.assign(this, { spec, left, top, width, height });
    const limits = (value) => (typeof value === "string" ? Array.from(frame[value].data) : value);
    this.x = scale(limits(spec.x), spec.log.includes("x"), left, left + width);
    this.y = scale(limits(spec.y), spec.log.includes("y"), top + height, top);
    this.called = spec.called ? limits(spec.called) : null;
  }

  X(v) { return this.x.forth(drawable(v, this.x)); }

  Y(v) { return this.y.forth(drawable(v, this.y)); }

  /** How many pixels a width and a height are, in values of axes that are not logarithmic. */
  lengths(width, height) {
    const pixels = (length, { low, high }, full) => Math.abs((length * full) / (high - low));
    return [pixels(width, this.x, this.width), pixels(height, this.y, this.height)];
  }

  /** The values under a pixel, kept inside the axes. */
  at(px, py) {
    const inside = (v, { low, high }) => Math.min(Math.max(v, low), high);
    return [inside(this.x.back(px), this.x), inside(this.y.back(py), this.y)];
  }

  contains(px, py, margin = 0) {
    return px >= this.left - margin && px <= this.left + this.width + margin
      && py >= this.top - margin && py <= this.top + this.height + margin;
  }

  clip(g) {
    g.beginPath();
    g.rect(this.left, this.top, this.width, this.height);
    g.clip();
  }

  /** Grid, numbers, labels and title; a bare pair of axes has its title only. */
  draw(g, colours, size, values) {
    const { spec, left, top, width, height } = this;
    g.font = `600 ${size}px system-ui, sans-serif`;
    g.fillStyle = colours.soft;
    g.textAlign = "left";
    g.textBaseline = "alphabetic";
    g.fillText(filled(spec.title, values), left, top - 0.6 * size, width + 0.5 * size); // squeezed where it is too long
    if (spec.bare) return;
    g.font = `${size}px system-ui, sans-serif`;
    g.strokeStyle = colours.grid;
    g.lineWidth = 1;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const [v, word] of this.marked("y", Math.floor(height / (2.6 * size)))) {
      const y = Math.round(this.Y(v)) + 0.5;
      g.beginPath(); g.moveTo(left, y); g.lineTo(left + width, y);
      if (spec.grid) g.stroke();
      g.fillText(word, left - 0.5 * size, y);
    }
    g.textAlign = "center";
    g.textBaseline = "top";
    for (const [v, word] of this.marked("x", Math.floor(width / (4.5 * size)))) {
      g.fillText(word, this.X(v), top + height + 0.4 * size);
    }
    g.fillText(filled(spec.xlabel, values), left + width / 2, top + height + 1.75 * size);
    if (spec.ylabel) this.drawUpright(g, filled(spec.ylabel, values), size);
  }

  /** Ticks with their words: those of the specification, else round numbers. */
  marked(side, room) {
    const own = this.spec[`${side}ticks`];
    if (own) return own;
    const { low, high, log } = this[side];
    const [first, last] = (side === "x" && this.called) || [low, high];
    const place = (v) => low + ((v - first) / (last - first)) * (high - low);
    const words = (v) => (Math.abs(v) < 1e5 ? number(v, 5) : number(v));
    return ticks(first, last, log, Math.min(room, 8)).map((v) => [this.called ? place(v) : v, words(v)]);
  }

  drawUpright(g, words, size) {
    g.save();
    g.translate(this.left - 3.4 * size, this.top + this.height / 2);
    g.rotate(-Math.PI / 2);
    g.textBaseline = "middle";
    g.fillText(words, 0, 0);
    g.restore();
  }
}

/** Boxes for axes side by side (below one another where it is narrow), wide as their shares say. */
export function boxes(specs, width, height, size) {
  const narrow = width < 560 && specs.length > 1;
  const total = specs.reduce((sum, spec) => sum + spec.share, 0);
  const each = height / (narrow ? specs.length : 1);
  let [left, top] = [0, 0];
  return specs.map((spec) => {
    const placed = !narrow && spec.place;
    const room = narrow ? width : (width * spec.share) / total;
    const margin = spec.bare ? [0.4, 0.4, TOP, 0.6] : [LEFT + (spec.ylabel ? 1 : 0), RIGHT, TOP, BOTTOM];
    const [l, r, t, b] = margin.map((m) => m * size);
    const [x, y, wide, high] = placed ? placed.map((part, i) => part * [width, height][i % 2]) : [left, top, room, each];
    if (narrow) top += each; else left += room;
    const box = [x + l, y + t, wide - l - r, high - t - b];
    return spec.square ? squared(box) : box;
  });
}

/** The largest square in a box, in its middle. */
function squared([left, top, width, height]) {
  const side = Math.min(width, height);
  return [left + (width - side) / 2, top, side, side];
}
