// Hands on the picture: drag what can be dragged, click to add or to choose, and the same with keys.

import { array } from "./marks.js";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const NUDGE = 0.01; // of an axis, with an arrow key; ten times as much with Shift

/** Give a canvas hands: `panel` has the picture, the state and what changes it. */
export function giveHands(canvas, panel) {
  const hand = { dragged: null, moved: false, focus: null };
  const pixel = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = pixel(event);
    const handle = panel.picture.handles[panel.picture.handleAt(x, y, event.pointerType === "touch" ? 18 : 7)];
    panel.touch = event.pointerType === "touch" ? 1.35 : 1;
    hand.focus = null;
    hand.dragged = handle ? { mark: handle.mark, index: handle.index } : pressed(panel, x, y);
    hand.moved = !handle;
    if (hand.dragged === null) return;
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = pixel(event);
    if (hand.dragged === null) {
      canvas.style.cursor = cursorAt(panel, x, y);
      return;
    }
    hand.moved = true;
    drag(panel, hand.dragged, x, y);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(type, (event) => {
      if (hand.dragged !== null && hand.moved && outside(panel, pixel(event))) remove(panel, hand.dragged);
      hand.dragged = null;
    });
  }
  const holds = (event) => panel.picture.handleAt(...pixel(event.touches[0]), 18) !== null;
  canvas.addEventListener("touchstart", (event) => { if (holds(event)) event.preventDefault(); }, { passive: false });
  const heldAt = (event) => panel.picture.handles[panel.picture.handleAt(...pixel(event), 7)];
  canvas.addEventListener("dblclick", (event) => remove(panel, heldAt(event)));
  canvas.addEventListener("keydown", (event) => {
    if (keyed(panel, hand, event)) event.preventDefault();
  });
  canvas.addEventListener("blur", () => { panel.focus = hand.focus = null; panel.draw(); });
}

const cursorAt = (panel, x, y) => {
  if (panel.picture.handleAt(x, y, 7) !== null) return "grab";
  if (panel.picture.handleAt(x, y, 0, false) !== null) return "pointer";
  return panel.picture.axesAt(x, y)?.spec.press ? "crosshair" : "default";
};

/** Put an item of a mark at a pixel: its fields take the values under it. */
function drag(panel, { mark, index }, px, py) {
  const axes = panel.picture.axes.find(({ spec }) => spec.name === mark.on);
  put(panel, mark, index, ...axes.at(px, py));
}

/** Move item `item` of a mark to values; y may be measured from a line of the frame (`along`), both from a place (`about`). */
export function put(panel, mark, item, x, y) {
  const { x: xField, y: yField, along } = mark.drag;
  if (mark.drag.about) [x, y] = measured(panel, mark.drag, x, y);
  const changes = {};
  const set = (name, value) => {
    const old = panel.state[name];
    const fit = panel.fit(name, value);
    changes[name] = Array.isArray(old) ? old.with(item, fit) : fit;
  };
  if (xField) set(xField, x);
  if (yField) set(yField, along ? y - lineAt(panel.frame, along, x) : y);
  panel.change(changes, `drag ${xField} ${item}`);
}

/** Values about a place, in units of a width and a height; with `polar` their distance and angle. */
function measured(panel, { about, polar }, x, y) {
  const [left, top, width, height] = array(about, panel.frame).data;
  const [dx, dy] = [(x - left) / width, (y - top) / height];
  return polar ? [Math.hypot(dx, dy), Math.atan2(dy, dx)] : [dx, dy];
}

/** The height of a line of the frame at x, by interpolation; `along` is [x, y], names of arrays. */
function lineAt(frame, [xs, ys], x) {
  const [across, up] = [frame[xs].data, frame[ys].data];
  const last = across.length - 2;
  const i = Math.min(Math.max(Math.floor(((x - across[0]) / (across.at(-1) - across[0])) * (last + 1)), 0), last);
  return up[i] + ((x - across[i]) / (across[i + 1] - across[i])) * (up[i + 1] - up[i]);
}

/** A press beside all handles: choose a picture, add a point, or put fields where it is; gives what is then dragged. */
function pressed(panel, px, py) {
  const chosen = panel.picture.handleAt(px, py, 0, false);
  if (chosen !== null) {
    const { mark, index } = panel.picture.handles[chosen];
    const { options } = panel.spec.fields[mark.choose] ?? {};
    if (mark.choose) panel.change({ [mark.choose]: options ? options[index][0] : index }, "choose");
    return null;
  }
  const axes = panel.picture.axesAt(px, py);
  const mark = panel.spec.marks.find(({ on, drag: moves, adds }) => moves && on === axes?.spec.name && (adds || axes.spec.press));
  if (!mark) {
    if (axes?.spec.press) panel.change(fitted(panel, axes.spec.press, axes.at(px, py)), "press");
    return null;
  }
  if (mark.adds && !add(panel, mark, axes.at(px, py))) return null;
  if (!mark.adds) put(panel, mark, 0, ...axes.at(px, py));
  return { mark, index: mark.adds ? panel.state[mark.drag.x || mark.drag.y].length - 1 : 0 };
}

const fitted = (panel, [xField, yField], [x, y]) => ({ [xField]: panel.fit(xField, x), [yField]: panel.fit(yField, y) });

/** Add a point to the lists of a mark, at values; false where there is no room for one more. */
function add(panel, mark, [x, y]) {
  const { x: xField, y: yField, along } = mark.drag;
  const { most } = panel.spec.fields[xField];
  if (panel.state[xField].length >= most) return false;
  const height = along ? y - lineAt(panel.frame, along, x) : y;
  const longer = [[xField, x], [yField, height]].filter(([name]) => name);
  panel.change(Object.fromEntries(longer.map(([name, value]) => [name, [...panel.state[name], panel.fit(name, value)]])), "add");
  return true;
}

/** Take a point away, as long as enough are left. */
function remove(panel, held) {
  if (!held?.mark.adds) return;
  const { mark, index } = held;
  const lists = [mark.drag.x, mark.drag.y].filter(Boolean);
  if (panel.state[lists[0]].length <= panel.spec.fields[lists[0]].least) return;
  panel.change(Object.fromEntries(lists.map((name) => [name, panel.state[name].toSpliced(index, 1)])), "remove");
}

const outside = (panel, [x, y]) => !panel.picture.axes.some((axes) => axes.contains(x, y, 25));

/** Keys: PageDown and PageUp choose what is held, arrows move it, Delete removes it, Enter adds a point. */
function keyed(panel, hand, event) {
  const held = panel.picture.handles.map((handle, i) => [handle, i]).filter(([{ mark }]) => mark.drag).map(([, i]) => i);
  if (!held.length) return false;
  const place = held.indexOf(hand.focus);
  if (event.key === "PageDown" || event.key === "PageUp" || (KEYS[event.key] && place < 0)) {
    const next = event.key === "PageUp" ? place - 1 + held.length : place + 1;
    hand.focus = panel.focus = held[next % held.length];
    panel.draw();
    return true;
  }
  const { mark, axes, index, x, y } = panel.picture.handles[hand.focus] ?? {};
  if (KEYS[event.key]) {
    const [dx, dy] = KEYS[event.key].map((way) => way * NUDGE * (event.shiftKey ? 10 : 1));
    put(panel, mark, index, ...axes.at(x + dx * axes.width, y - dy * axes.height));
    return true;
  }
  if ((event.key === "Delete" || event.key === "Backspace") && mark) remove(panel, { mark, index });
  else if (event.key === "Enter" && mark?.adds) add(panel, mark, axes.at(axes.left + axes.width / 2, y));
  else return false;
  return true;
}
