// A control to draw on: squares side by side, one for each drawing. A stroke is seen at once, and heard of as it grows.

const NEAR = 0.008; // a point as near to the last one is left out
const SQUARE = `
  <svg viewBox="-4 -4 108 108" aria-hidden="true"><path></path></svg>
  <button type="button" class="wipe">×</button>
  <span class="place"></span><span class="share"><i></i></span><output aria-live="off"></output>`; // nothing of the reader's is in it

/** Where an event is in an element, 0 ... 1 from the upper left corner. */
function at(event, element) {
  const box = element.getBoundingClientRect();
  const share = (v) => Number(Math.min(Math.max(v, 0), 1).toFixed(3));
  return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
}

/** Strokes as the outline of an SVG path; a single point is a line to itself, which the round pen makes a dot. */
const outline = (strokes) => strokes
  .map((stroke) => [stroke[0], ...stroke].map(([x, y], i) => `${i ? "L" : "M"}${100 * x} ${100 * y}`).join(""))
  .join("");

/** Whether one drawing is another that has less of its last strokes: what undo and wiping leave. */
const within = (part, whole) => part.every((stroke, i) => stroke.every((point, j) => String(point) === String(whole[i]?.[j])));

/** Squares to draw on. The first stroke on an example puts it away; further ones are added. */
export function pad(name, field, changed) {
  let drawings = [];
  const own = field.places.map(() => false); // whether the reader has drawn what stands there
  const put = (i, strokes) => {
    drawings = drawings.with(i, strokes);
    own[i] = true;
    squares[i].draw(strokes);
    changed(drawings);
  };
  const squares = field.places.map((place, i) => square(name, field, place, i, {
    begin: (point) => put(i, [...(own[i] ? drawings[i] : []), [point]]),
    go: (points) => put(i, drawings[i].with(-1, [...drawings[i].at(-1), ...points])),
    wipe: () => put(i, []),
  }));
  const element = document.createElement("div");
  element.className = "large pads";
  const label = document.createElement("span");
  label.className = "name";
  label.append(field.label, Object.assign(document.createElement("small"), { textContent: field.hint }));
  element.append(label, ...squares.map((each) => each.element));
  return {
    element,
    show(value, frame) {
      value.forEach((strokes, i) => {
        own[i] &&= within(strokes, drawings[i]);
        squares[i].draw(strokes);
        squares[i].say(frame?.[field.shares]?.data[i]);
      });
      drawings = value;
    },
  };
}

/** One square; hands are {begin, go, wipe}. */
function square(name, field, place, index, { begin, go, wipe }) {
  const element = document.createElement("div");
  element.className = "pad";
  element.innerHTML = SQUARE;
  const [sheet, button, caption, bar, output] = element.children;
  const called = `${field.label}: ${place}`;
  Object.assign(element, { tabIndex: 0 });
  Object.assign(element.dataset, { name, index, lmSuppressShortcuts: "true" });
  caption.textContent = place;
  button.setAttribute("aria-label", `wipe ${called}`);
  button.addEventListener("click", wipe);
  element.addEventListener("keydown", (event) => { if (["Delete", "Backspace"].includes(event.key)) wipe(); });

  let last = null; // the last point of the stroke that is being drawn
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button || last) return;
    event.preventDefault();
    sheet.setPointerCapture(event.pointerId); // the stroke goes on, and ends, outside of the square, too
    begin(last = at(event, sheet));
  });
  sheet.addEventListener("pointermove", (event) => {
    if (!last) return;
    const points = [];
    for (const each of event.getCoalescedEvents?.().concat(event) ?? [event]) {
      const point = at(each, sheet);
      if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= NEAR) points.push(last = point);
    }
    if (points.length) go(points);
  });
  for (const type of ["pointerup", "pointercancel"]) sheet.addEventListener(type, () => { last = null; });
  return {
    element,
    draw(strokes) {
      sheet.firstChild.setAttribute("d", outline(strokes));
      button.hidden = !strokes.length;
      element.setAttribute("role", "group");
      element.setAttribute("aria-label", `${called}, ${strokes.length ? "drawn" : "empty"}: draw here; Delete wipes it`);
    },
    say(share) {
      const known = Number.isFinite(share);
      bar.firstChild.style.width = known ? `${100 * share}%` : "0";
      output.textContent = known ? `${Math.round(100 * share)} %` : "";
    },
  };
}
