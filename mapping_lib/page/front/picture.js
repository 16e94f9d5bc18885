// A picture: axes side by side on one canvas, their marks, and the names beside them; sharp at any pixel density.
import { Axes, boxes } from "./axes.js";
import { drawMark } from "./marks.js";
import { Names } from "./names.js";

/** The size of small type for a picture of some width: the same share of a laptop's page and of a projector's. */
export const typeSize = (width) => Math.min(22, Math.max(12, width / 78));

export class Picture {
  /** `spec` is {axes, marks, height}: data from Python; `height` is a share of the width. */
  constructor(spec, canvas) {
    Object.assign(this, { spec, canvas, places: {}, handles: [], axes: [] });
  }

  /** How high the picture is at a width: a whole panel fits a laptop's window; on a phone axes stand one on another. */
  heightAt(width) {
    const { axes, height } = this.spec;
    const beside = Math.min(Math.max(width * height, 250), 620);
    if (width >= 560) return Math.round(beside);
    const rows = Math.max(...axes.map(({ rows = 0 }) => rows));
    return Math.round(axes.length * Math.max(0.8 * beside, rows * 1.4 * typeSize(width) + 90));
  }

  /** Draw a frame; `values` fill templates, `colours` is a palette, `touch` makes handles larger for fingers. */
  draw(frame, values, colours, { touch = 1, focus = null } = {}) {
    const { canvas, spec } = this;
    const density = window.devicePixelRatio || 1;
    const w = Math.floor(canvas.parentElement.getBoundingClientRect().width * density); // whole pixels: nothing is blurred
    const width = w / density;
    const h = Math.round(this.heightAt(width) * density);
    const height = h / density;
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const g = canvas.getContext("2d");
    g.setTransform(density, 0, 0, density, 0, 0);
    g.clearRect(0, 0, width, height);
    const size = typeSize(width);
    const names = new Names(width, height, size * 1.05, this.places);
    const art = { g, frame, values, colours, size, scale: size / 12.5, touch, names, handles: [] };
    const each = boxes(spec.axes, width, height, size);
    this.axes = spec.axes.map((axes, i) => new Axes(axes, each[i], frame));
    const byName = Object.fromEntries(this.axes.map((axes) => [axes.spec.name, axes]));
    const below = spec.marks.filter((mark) => mark.kind === "heat");
    for (const mark of below) drawMark(art, byName[mark.on], mark);
    for (const axes of this.axes) axes.draw(g, colours, size, values);
    for (const mark of spec.marks) if (mark.kind !== "heat") drawMark(art, byName[mark.on], mark);
    this.places = names.draw(g, colours);
    this.handles = art.handles;
    if (focus !== null && this.handles[focus]) this.ringAround(g, this.handles[focus], colours);
  }

  ringAround(g, handle, colours) {
    g.beginPath();
    g.arc(handle.x, handle.y, handle.radius + 5, 0, 2 * Math.PI);
    g.lineWidth = 2.5;
    g.strokeStyle = colours.ink;
    g.stroke();
  }

  /** The handle under a pixel, or the nearest within `reach` of its edge. */
  handleAt(px, py, reach, draggable = true) {
    let [best, least] = [null, Infinity];
    this.handles.forEach((handle, i) => {
      if (draggable !== Boolean(handle.mark.drag)) return;
      const distance = handle.box ? beside(handle.box, px, py) : Math.hypot(handle.x - px, handle.y - py) - handle.radius;
      if (distance < reach && distance < least) [best, least] = [i, distance];
    });
    return best;
  }

  axesAt(px, py) { return this.axes.find((axes) => axes.contains(px, py, 2)); }
}

/** How far a pixel is from a box, negative inside. */
const beside = ([left, top, width, height], px, py) => Math.max(left - px, px - left - width, top - py, py - top - height);

/** The frame a share of the way from one to another: numbers in arrays of the same shape move, all else jumps. */
export function between(from, to, share) {
  if (!from || share >= 1) return to;
  const moved = Object.entries(to).map(([name, value]) => {
    const old = from[name];
    const alike = value?.shape && old?.shape && String(value.shape) === String(old.shape) && value.data.map;
    return [name, alike ? { shape: value.shape, data: value.data.map((v, i) => old.data[i] + share * (v - old.data[i])) } : value];
  });
  return Object.fromEntries(moved);
}
