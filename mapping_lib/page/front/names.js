// Names beside lines and points: each where it covers least, and where it stood before if that is as good.

import { readable } from "./colours.js";

const CELL = 6; // pixels of a cell of the map of what is drawn
const SHIFTS = [[0, -1.1], [0, 1.1], [0.8, -0.9], [-0.8, -0.9], [0.8, 0.9], [-0.8, 0.9]]; // of a name, in heights of type

/** The names of one picture. `before` are the places of the last picture, so that names do not jump. */
export class Names {
  constructor(width, height, size, before) {
    Object.assign(this, { size, before, wanted: [], places: {} });
    this.columns = Math.ceil(width / CELL);
    this.map = new Uint8Array(this.columns * Math.ceil(height / CELL));
  }

  ask(name) { this.wanted.push(name); }

  /** Note a line as drawn. */
  cover(axes, xs, ys) {
    for (let i = 1; i < ys.length; i++) {
      const [x0, y0, x1, y1] = [axes.X(xs[i - 1]), axes.Y(ys[i - 1]), axes.X(xs[i]), axes.Y(ys[i])];
      const pieces = Math.min(60, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / CELL));
      for (let k = 0; k <= pieces; k++) this.mark(x0 + ((x1 - x0) * k) / pieces, y0 + ((y1 - y0) * k) / pieces, 1);
    }
  }

  /** Note a disc as drawn, which names must not cover. */
  block(x, y, radius) {
    for (let dx = -radius; dx <= radius; dx += CELL) {
      for (let dy = -radius; dy <= radius; dy += CELL) this.mark(x + dx, y + dy, 6);
    }
  }

  mark(x, y, weight) {
    const at = Math.floor(y / CELL) * this.columns + Math.floor(x / CELL);
    if (x >= 0 && x < this.columns * CELL && at >= 0 && at < this.map.length) this.map[at] = Math.max(this.map[at], weight);
  }

  /** How much a box covers, 0 for nothing. */
  cost([left, top, width, height], axes) {
    const outside = Math.max(0, axes.left - left) + Math.max(0, left + width - axes.left - axes.width)
      + Math.max(0, axes.top - top) + Math.max(0, top + height - axes.top - axes.height);
    let sum = 40 * outside;
    for (let y = top; y < top + height; y += CELL) {
      for (let x = left; x < left + width; x += CELL) sum += this.map[Math.floor(y / CELL) * this.columns + Math.floor(x / CELL)] ?? 0;
    }
    return sum;
  }

  /** Where a name could stand, best first in doubt: beside places all along its line, above and below. */
  candidates({ spots, near, text }, width) {
    const n = spots.length;
    const along = n === 1 ? [0] : Array.from({ length: 13 }, (_, i) => Math.round(((n - 1) * i) / 12));
    const order = near === "end" ? along.toReversed() : along;
    const boxes = order.flatMap((i) => SHIFTS.map(([dx, dy]) => {
      const [x, y] = spots[i];
      return [x - width / 2 + dx * (width / 2 + 0.5 * this.size), y + dy * this.size - 0.65 * this.size, width, 1.3 * this.size];
    }));
    if (near === "end" && text) {
      const [x, y] = spots[n - 1];
      boxes.unshift([x + 0.7 * this.size, y - 0.65 * this.size, width, 1.3 * this.size]);
    }
    return boxes;
  }

  place(g, name) {
    const width = g.measureText(name.text).width;
    const boxes = this.candidates(name, width);
    const costs = boxes.map((box, i) => this.cost(box, name.axes) + 0.05 * i);
    let best = costs.indexOf(Math.min(...costs));
    const last = this.before[name.key];
    if (last !== undefined && last < costs.length && costs[last] < costs[best] + 2.5) best = last;
    this.places[name.key] = best;
    return boxes[best];
  }

  /** Place and write all names, with paper around their letters. */
  draw(g, colours) {
    g.font = `600 ${this.size}px system-ui, sans-serif`;
    g.textAlign = "left";
    g.textBaseline = "middle";
    g.lineJoin = "round";
    for (const name of this.wanted) {
      const [left, top, width, height] = this.place(g, name);
      for (let x = left; x < left + width; x += CELL) for (let y = top; y < top + height; y += CELL) this.mark(x, y, 60);
      g.lineWidth = 4;
      g.strokeStyle = colours.card;
      g.strokeText(name.text, left, top + height / 2);
      g.fillStyle = readable(name.colour, colours);
      g.fillText(name.text, left, top + height / 2);
    }
    return this.places;
  }
}
