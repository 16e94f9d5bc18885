// What is drawn between axes: each kind of mark is a function of one specification (data, made in Python) and one frame.
import { contrast, mixed } from "./colours.js";
import { filled, formatted, holds } from "./sentence.js";

/** An array of the frame by its name, or a list as it stands in the specification. */
export function array(reference, frame) {
  if (typeof reference !== "string") return { data: reference, shape: [reference.length] };
  const found = frame[reference];
  return typeof found === "number" ? { data: [found], shape: [1] } : found;
}

/** The rows of an array with two dimensions; one with a single dimension is one row. */
function rows({ data, shape }) {
  if (shape.length < 2) return [data];
  const width = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array.from({ length: shape[0] }, (_, i) => data.subarray(i * width, (i + 1) * width));
}

/** The colour of a mark: the name of a role or method, words that hold one in braces, or a list of them by row. */
function colourOf(mark, art, row = 0) {
  const list = Array.isArray(mark.colour) ? mark.colour : art.frame[mark.colour];
  const name = Array.isArray(list) ? list[row % list.length] ?? "ink" : mark.colour;
  const full = filled(name, art.values);
  return art.colours[full] ?? (full.startsWith("#") ? full : art.colours.ink);
}

function path(g, axes, xs, ys) {
  g.beginPath();
  for (let i = 0; i < ys.length; i++) {
    if (i) g.lineTo(axes.X(xs[i]), axes.Y(ys[i]));
    else g.moveTo(axes.X(xs[i]), axes.Y(ys[i]));
  }
}

/** The numbers 0, 1, 2 ... for a line without x of its own. */
const counted = (n) => Float32Array.from({ length: n }, (_, i) => i);

/** One line, or one for each row of y. */
function line(art, axes, mark) {
  const { g } = art;
  const lines = rows(array(mark.y, art.frame));
  const across = mark.x ? rows(array(mark.x, art.frame)) : [counted(lines[0]?.length ?? 0)];
  g.lineJoin = g.lineCap = "round";
  g.lineWidth = mark.width * art.scale;
  lines.forEach((ys, i) => {
    const xs = across[i % across.length];
    g.setLineDash(mark.dash.map((length) => length * art.scale));
    g.strokeStyle = colourOf(mark, art, i);
    g.globalAlpha = mark.fade;
    path(g, axes, xs, ys);
    g.stroke();
    g.globalAlpha = 1;
    g.setLineDash([]);
    if (mark.dots) drawDots(art, axes, mark, xs, ys, i);
    art.names.cover(axes, xs, ys);
    if (mark.name && (i === 0 || namesOf(mark, art))) named(art, axes, mark, xs, ys, i);
  });
  g.setLineDash([]);
}

/** The names of a mark by row, where it has one for each: a list, or the name of one in the frame. */
const namesOf = (mark, art) => (Array.isArray(mark.name) ? mark.name : Array.isArray(art.frame[mark.name]) ? art.frame[mark.name] : null);

/** Dots on a line: on all its points, or ("end") on the last. */
function drawDots(art, axes, mark, xs, ys, row) {
  const first = mark.dots === "end" ? ys.length - 1 : 0;
  for (let i = Math.max(0, first); i < ys.length; i++) {
    disc(art, axes.X(xs[i]), axes.Y(ys[i]), mark.dots === "end" ? 5 : 2.6, colourOf(mark, art, row), false);
  }
}

/** Ask for a name beside a line or a point; it is placed when all else is drawn. */
function named(art, axes, mark, xs, ys, row = 0) {
  const listed = namesOf(mark, art);
  const words = listed ? listed[row] : mark.name;
  const spots = Array.from(ys, (y, i) => [axes.X(xs[i]), axes.Y(y)]);
  const text = filled(words, art.values);
  if (text) art.names.ask({ text, colour: colourOf(mark, art, row), spots, axes, key: `${mark.on}${words}${row}`, near: mark.near });
}

function disc({ g, colours, scale }, x, y, radius, colour, edge = true) {
  g.beginPath();
  g.arc(x, y, radius * scale, 0, 2 * Math.PI);
  g.fillStyle = colour;
  g.fill();
  if (!edge) return;
  g.lineWidth = 2 * scale;
  g.strokeStyle = colours.card;
  g.stroke();
}

/** The outlines of points that are no discs, around 0 with radius 1. */
const SHAPES = {
  square: [[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]],
  diamond: [[0, -1.1], [1.1, 0], [0, 1.1], [-1.1, 0]],
  cross: [[-1, -0.6], [-0.6, -1], [0, -0.4], [0.6, -1], [1, -0.6], [0.4, 0], [1, 0.6], [0.6, 1], [0, 0.4], [-0.6, 1], [-1, 0.6], [-0.4, 0]],
};

function shaped(art, x, y, radius, colour, shape) {
  const { g, scale } = art;
  g.beginPath();
  for (const [dx, dy] of SHAPES[shape]) g.lineTo(x + dx * radius * scale, y + dy * radius * scale);
  g.closePath();
  g.lineWidth = 2 * scale;
  g.strokeStyle = art.colours.card;
  g.stroke();
  g.fillStyle = colour;
  g.fill();
}

/** Points; those that a hand can drag are noted, with what they move. */
function points(art, axes, mark) {
  const [xs, ys] = [array(mark.x, art.frame).data, array(mark.y, art.frame).data];
  const radius = mark.size * (mark.drag ? art.touch : 1);
  for (let i = 0; i < ys.length; i++) {
    if (Number.isNaN(ys[i])) continue;
    const [x, y] = [axes.X(xs[i]), axes.Y(ys[i])];
    const colour = colourOf(mark, art, i);
    if (!mark.drag && !axes.contains(x, y, radius)) continue;
    if (mark.shape === "ring") ring(art, x, y, radius, colour);
    else if (mark.shape === "disc") disc(art, x, y, radius, colour);
    else shaped(art, x, y, radius, colour, mark.shape);
    if (mark.drag) art.handles.push({ mark, axes, index: i, x, y, radius: radius * art.scale });
    art.names.block(x, y, radius * art.scale + 2);
    if (namesOf(mark, art)) named(art, axes, mark, [xs[i]], [ys[i]], i);
  }
  if (mark.name && !namesOf(mark, art) && ys.length) named(art, axes, mark, xs, ys);
}

function ring({ g, scale, colours }, x, y, radius, colour) {
  g.beginPath();
  g.arc(x, y, radius * scale, 0, 2 * Math.PI);
  g.fillStyle = colours.card;
  g.fill();
  g.lineWidth = 2.4 * scale;
  g.strokeStyle = colour;
  g.stroke();
}

/** The area between two lines. */
function band(art, axes, mark) {
  const { g, frame } = art;
  const [low, high] = [array(mark.low, frame).data, array(mark.high, frame).data];
  const xs = mark.x ? array(mark.x, frame).data : counted(low.length);
  path(g, axes, xs, high);
  for (let i = low.length - 1; i >= 0; i--) g.lineTo(axes.X(xs[i]), axes.Y(low[i]));
  g.closePath();
  g.globalAlpha = mark.fade;
  g.fillStyle = colourOf(mark, art);
  g.fill();
  g.globalAlpha = 1;
}

/** Numbers 0 ... 1 (row, column) as shades from paper to the mark's colour, over all of the axes; row 0 is below. */
function heat(art, axes, mark) {
  const { data, shape: [height, width] } = array(mark.values, art.frame);
  const full = colourOf(mark, art);
  const shades = Array.from({ length: 65 }, (_, i) => {
    const shade = mixed(art.colours.card, full, (mark.strength * i) / 64);
    return [1, 3, 5].map((at) => parseInt(shade.slice(at, at + 2), 16));
  });
  const image = new ImageData(width, height);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const v = data[i * width + j];
      const shade = shades[Math.round(64 * Math.min(Math.max(Number.isNaN(v) ? 1 : v, 0), 1))];
      image.data.set([...shade, mark.gaps && Number.isNaN(v) ? 0 : 255], 4 * ((height - 1 - i) * width + j));
    }
  }
  const sheet = new OffscreenCanvas(width, height);
  sheet.getContext("2d").putImageData(image, 0, 0);
  art.g.imageSmoothingEnabled = mark.smooth;
  art.g.imageSmoothingQuality = "high";
  art.g.drawImage(sheet, axes.left, axes.top, axes.width, axes.height);
}

/** Arrows from (x, y) by (dx, dy), in the units of the axes; too short ones are left out. */
function arrows(art, axes, mark) {
  const { g, frame } = art;
  const [x, y, dx, dy] = [mark.x, mark.y, mark.dx, mark.dy].map((name) => array(name, frame).data);
  for (let i = 0; i < dx.length; i++) {
    const thick = Array.isArray(mark.width) ? mark.width[i % mark.width.length] : mark.width;
    g.lineWidth = thick * art.scale;
    const j = i % x.length;
    const [x0, y0, x1, y1] = [axes.X(x[j]), axes.Y(y[j]), axes.X(x[j] + dx[i]), axes.Y(y[j] + dy[i])];
    const long = Math.hypot(x1 - x0, y1 - y0);
    if (!(long > 3)) continue;
    g.strokeStyle = g.fillStyle = colourOf(mark, art, i);
    const head = Math.min((6 + 1.3 * thick) * art.scale, 0.6 * long);
    const [ux, uy] = [(x1 - x0) / long, (y1 - y0) / long];
    g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1 - head * 0.8 * ux, y1 - head * 0.8 * uy); g.stroke();
    g.beginPath();
    g.moveTo(x1, y1);
    g.lineTo(x1 - head * ux - head * 0.5 * uy, y1 - head * uy + head * 0.5 * ux);
    g.lineTo(x1 - head * ux + head * 0.5 * uy, y1 - head * uy - head * 0.5 * ux);
    g.fill();
    art.names.block(x1, y1, head);
    art.names.cover(axes, [x[j], x[j] + dx[i]], [y[j], y[j] + dy[i]]);
    if (namesOf(mark, art)) named(art, axes, mark, [x[j] + dx[i]], [y[j] + dy[i]], i);
  }
}

/** Bars lying from the left edge, one for each value, the first on top; a name before each, words behind. */
function bars(art, axes, mark) {
  const { g, frame } = art;
  const values = array(mark.values, frame).data;
  const names = (typeof mark.names === "string" ? frame[mark.names] : mark.names) ?? [];
  const pitch = axes.height / Math.max(values.length, mark.rows);
  const thick = Math.min(0.62 * pitch, 26 * art.scale);
  const base = mark.base ? array(mark.base, frame).data : null;
  const zero = axes.X(Math.max(axes.x.low, axes.x.log ? axes.x.low : Math.min(0, axes.x.high)));
  values.forEach((value, i) => {
    const y = axes.top + (i + 0.5) * pitch;
    const inside = (x) => Math.min(Math.max(x, axes.left), axes.left + axes.width);
    const [begin, end] = [base ? inside(axes.X(base[i])) : zero, inside(axes.X(value))];
    g.fillStyle = colourOf(mark, art, i);
    g.globalAlpha = mark.fade;
    g.fillRect(Math.min(begin, end), y - thick / 2, Math.abs(end - begin), thick);
    g.globalAlpha = 1;
    g.textBaseline = "middle";
    g.font = `600 ${art.size}px system-ui, sans-serif`;
    g.textAlign = "right";
    if (names[i]) g.fillText(names[i], axes.left - 0.5 * art.size, y);
    const words = mark.words === null ? "" : formatted(value, mark.words);
    const room = axes.left + axes.width - end > g.measureText(words).width + art.size;
    g.textAlign = room ? "left" : "right";
    if (!room) g.fillStyle = art.colours.card;
    g.fillText(words, end + (room ? 0.4 : -0.4) * art.size, y);
    const box = [axes.left, y - pitch / 2, axes.width, pitch];
    if (mark.choose) art.handles.push({ mark, axes, index: i, x: axes.left + axes.width / 2, y, radius: thick / 2, box });
  });
}

/** A number in each cell of a matrix, over a `heat` of the same shape; row 0 is on top where `down` says so. */
function cells(art, axes, mark) {
  const { g, frame } = art;
  const { data, shape: [height, width] } = array(mark.values, frame);
  g.font = `600 ${art.size}px system-ui, sans-serif`;
  g.textAlign = "center";
  g.textBaseline = "middle";
  g.fillStyle = art.colours.ink;
  for (let i = 0; i < data.length; i++) {
    const [row, column] = [Math.floor(i / width), i % width];
    const x = axes.left + ((column + 0.5) * axes.width) / width;
    const y = axes.top + ((height - row - 0.5) * axes.height) / height;
    if (!Number.isNaN(data[i])) g.fillText(formatted(data[i], mark.words), x, y);
  }
}

/** Rectangles filled as much as their values say, each with a word in it. */
function tiles(art, axes, mark) {
  const { g, frame, colours } = art;
  const [xs, ys, values] = [mark.x, mark.y, mark.values].map((name) => array(name, frame).data);
  const framed = mark.framed ? array(mark.framed, frame).data : [];
  const [width, height] = axes.lengths(...mark.size);
  const words = frame[mark.words] ?? [];
  g.textAlign = "center";
  g.textBaseline = "middle";
  g.font = `600 ${Math.min(art.size, 0.72 * height)}px system-ui, sans-serif`;
  for (let i = 0; i < values.length; i++) {
    const [left, top] = [axes.X(xs[i]) - width / 2, axes.Y(ys[i]) - height / 2];
    const shade = mixed(colours.card, colourOf(mark, art, i), Math.min(Math.max(values[i], 0), 1));
    g.fillStyle = shade;
    g.fillRect(left, top, width, height);
    g.lineWidth = framed[i] ? 2.4 * art.scale : 1;
    g.strokeStyle = framed[i] ? colours.ink : colours.grid;
    const inset = framed[i] ? 1.2 * art.scale : 0;
    g.strokeRect(left + inset, top + inset, width - 2 * inset, height - 2 * inset);
    g.fillStyle = contrast(shade, colours.ink) > contrast(shade, colours.card) ? colours.ink : colours.card;
    if (words[i]) g.fillText(words[i], left + width / 2, top + height / 2);
  }
}

/** Words at a place of the axes, or the texts of a list at many. */
function text(art, axes, mark) {
  const { g, frame } = art;
  const many = Array.isArray(frame[mark.words]);
  const texts = many ? frame[mark.words] : [filled(mark.words, art.values)];
  const line = 1.35 * art.size;
  const tall = typeof mark.tall === "string" ? art.values[mark.tall] : mark.tall;
  const room = tall ? [axes.width, Math.max(1, Math.floor(axes.lengths(0, tall)[1] / line) - mark.below)] : null;
  const place = (v, i) => (many ? array(v, frame).data[i] : typeof v === "string" ? art.values[v] : v);
  g.font = `${mark.bold ? 600 : 400} ${art.size}px system-ui, sans-serif`;
  g.textAlign = mark.align;
  g.textBaseline = "middle";
  texts.forEach((words, i) => {
    g.fillStyle = colourOf(mark, art, i);
    const [x, y] = [axes.X(place(mark.x, i)), axes.Y(place(mark.y, i))];
    const lines = room ? broken(g, words, ...room) : [words];
    lines.forEach((part, row) => g.fillText(part, x, y + (row + mark.below) * line));
  });
}

/** Words broken into lines of a width; what finds no room in the last of them is left out, with an ellipsis. */
function broken(g, words, width, most) {
  const lines = [];
  const rest = words.split(" ");
  while (rest.length && lines.length < most) {
    const last = lines.length === most - 1;
    let line = rest.shift();
    const fits = (more, left) => g.measureText(last && left ? `${more} …` : more).width <= width;
    while (rest.length && fits(`${line} ${rest[0]}`, rest.length - 1)) line += ` ${rest.shift()}`;
    lines.push(shortened(g, last && rest.length ? `${line} …` : line, width));
  }
  return lines;
}

/** A word cut to a width, with an ellipsis. */
function shortened(g, word, width) {
  if (g.measureText(word).width <= width) return word;
  let n = word.length;
  while (n > 1 && g.measureText(`${word.slice(0, n)}…`).width > width) n -= 1;
  return `${word.slice(0, n)}…`;
}

/** A line across the axes at one value. */
function rule(art, axes, mark) {
  const { g } = art;
  const value = (v) => (typeof v === "string" ? art.values[v] : v);
  g.setLineDash(mark.dash);
  g.lineWidth = mark.width * art.scale;
  g.strokeStyle = colourOf(mark, art);
  const [x, y] = [mark.x === null ? null : value(mark.x), mark.y === null ? null : value(mark.y)];
  const ends = x === null ? [[axes.x.low, y], [axes.x.high, y]] : [[x, axes.y.low], [x, axes.y.high]];
  path(g, axes, ends.map((end) => end[0]), ends.map((end) => end[1]));
  g.stroke();
  g.setLineDash([]);
  if (mark.name) named(art, axes, mark, ends.map((end) => end[0]), ends.map((end) => end[1]));
}

/** Pictures (picture, row, column) of 0 ... 1, each around its place, framed in the mark's colour. */
function images(art, axes, mark) {
  const { g, frame } = art;
  const { data, shape: [n, height, width] } = array(mark.values, frame);
  const [xs, ys] = [array(mark.x, frame).data, array(mark.y, frame).data];
  const side = 0.9 * Math.min(...axes.lengths(1, 1));
  g.imageSmoothingEnabled = true;
  g.lineWidth = side > 1.6 * art.size ? 2 * art.scale : 1;
  for (let i = 0; i < n; i++) {
    const [left, top] = [axes.X(xs[i]) - side / 2, axes.Y(ys[i]) - side / 2];
    const sheet = sheetOf(data.subarray(i * height * width, (i + 1) * height * width), width, height, art.colours.ink);
    g.drawImage(sheet, left, top, side, side);
    g.strokeStyle = colourOf(mark, art, i);
    g.strokeRect(left, top, side, side);
  }
}

/** A picture of ink on nothing. */
function sheetOf(shares, width, height, ink) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(ink.slice(at, at + 2), 16));
  const image = new ImageData(width, height);
  for (let k = 0; k < shares.length; k++) {
    image.data[4 * k] = red;
    image.data[4 * k + 1] = green;
    image.data[4 * k + 2] = blue;
    image.data[4 * k + 3] = 255 * shares[k];
  }
  const sheet = new OffscreenCanvas(width, height);
  sheet.getContext("2d").putImageData(image, 0, 0);
  return sheet;
}

const KINDS = { line, points, band, heat, arrows, bars, cells, tiles, text, rule, images };

/** Draw one mark, if its condition holds. */
export function drawMark(art, axes, mark) {
  if (!holds(mark.when, art.values)) return;
  art.g.save();
  if (!["bars", "tiles", "text", "points", "images"].includes(mark.kind)) axes.clip(art.g);
  KINDS[mark.kind](art, axes, mark);
  art.g.restore();
}
