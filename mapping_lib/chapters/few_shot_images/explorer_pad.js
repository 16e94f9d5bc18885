// A square to draw on. Strokes are drawn here, at once; Python hears of a stroke when it has ended.
const SIZE = 190; // CSS pixels
const PEN = 12;
const NEAR = 0.004; // a point as near to the last one is left out

function inside(share) {
  return Math.round(1000 * Math.min(1, Math.max(0, share))) / 1000;
}

function paint(ink, strokes) {
  ink.clearRect(0, 0, SIZE, SIZE);
  for (const stroke of strokes) {
    ink.beginPath();
    ink.moveTo(SIZE * stroke[0][0], SIZE * stroke[0][1]);
    // a single point is a line to itself: the round cap makes it a dot
    for (const [x, y] of stroke) ink.lineTo(SIZE * x, SIZE * y);
    ink.stroke();
  }
}

function render({ model, el }) {
  const caption = document.createElement("div");
  caption.style.cssText = `width:${SIZE}px; text-align:center; font-weight:bold`;
  const pad = document.createElement("canvas");
  pad.style.cssText = `width:${SIZE}px; height:${SIZE}px; background:white; border:2px solid #0072B2; border-radius:4px`;
  pad.style.cursor = "crosshair";
  pad.style.touchAction = "none"; // a finger draws, and does not scroll
  const density = window.devicePixelRatio || 1;
  pad.width = pad.height = SIZE * density;
  const ink = pad.getContext("2d");
  ink.scale(density, density);
  Object.assign(ink, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
  el.append(caption, pad);

  let stroke = null; // the points of the stroke that is being drawn
  const show = () => {
    caption.textContent = model.get("caption");
    pad.setAttribute("aria-label", `drawing pad: ${model.get("caption")}`);
    paint(ink, stroke ? [...model.get("strokes"), stroke] : model.get("strokes"));
  };
  const at = (event) => {
    const box = pad.getBoundingClientRect();
    const left = box.left + pad.clientLeft, top = box.top + pad.clientTop;
    return [inside((event.clientX - left) / pad.clientWidth), inside((event.clientY - top) / pad.clientHeight)];
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || stroke) return;
    event.preventDefault();
    pad.setPointerCapture(event.pointerId); // the stroke goes on, and ends, outside of the pad too
    stroke = [at(event)];
    show();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    const [x, y] = at(event), [lastX, lastY] = stroke.at(-1);
    if (Math.hypot(x - lastX, y - lastY) < NEAR) return;
    stroke.push([x, y]);
    show();
  });
  const end = () => {
    if (!stroke) return;
    const strokes = [...model.get("strokes"), stroke];
    stroke = null;
    model.set("strokes", strokes);
    model.save_changes();
  };
  pad.addEventListener("pointerup", end);
  pad.addEventListener("pointercancel", end);
  model.on("change:strokes", show);
  model.on("change:caption", show);
  show();
  return () => {
    model.off("change:strokes", show);
    model.off("change:caption", show);
  };
}

export default { render };
