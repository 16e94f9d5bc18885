// A panel: question, picture, sentence, controls. It holds the state; a source computes frames; a host keeps the state.
import { followTheme, isDark, palette, readable } from "./colours.js";
import { control, make, snapped } from "./controls.js";
import { giveHands } from "./hands.js";
import { between, Picture } from "./picture.js";
import { filled, pieces, sentence, valuesOf } from "./sentence.js";

const SAVE_AFTER = 200; // ms after the last change, the state goes to the host
const REST = 150; // ms after the last change, the slow part of a frame is asked for
const STRIDE = 260; // ms for one step while a panel plays
const ONE_GESTURE = 900; // ms: changes of one thing that follow so fast are undone together
const MOST_UNDONE = 100;
const KEYS = "Arrow keys move a point, Page Down goes to the next one.";

/** Whether a state has these values already. */
const within = (changes, state) => Object.entries(changes).every(([name, value]) => JSON.stringify(state[name]) === JSON.stringify(value));

/** Words in which the index of λ_max stands lower. */
const lowered = (text) => text.split(/(?<=λ)_(\w+)/).map((part, i) => (i % 2 ? make("sub", {}, part) : part));

export class Panel {
  /**
   * `source` has compute(state) -> frame, or a promise of one, and may have later(state), for what takes long; `host`
   * has save(state), calls `take` with what changes outside, and may have link(state), an address that opens it so.
   */
  constructor(element, spec, source, host) {
    Object.assign(this, { spec, source, host, state: { ...spec.state, ...host.state }, start: { ...spec.state } });
    Object.assign(this, { frame: null, extra: {}, undone: [], focus: null, touch: 1, unsaved: false });
    this.build(element);
    this.picture = new Picture(spec, this.canvas);
    source.waits = () => this.complain(new Error("The kernel is busy, or it is gone: then run this cell again."));
    giveHands(this.canvas, this);
    this.watch(element);
    this.showControls();
    this.refresh();
  }

  build(element) {
    const { spec } = this;
    const hands = spec.marks.some(({ drag }) => drag) // what keys can move
      ? { tabIndex: 0, role: "application", "aria-roledescription": "picture with points to move", "aria-description": KEYS }
      : { role: "img" };
    this.canvas = make("canvas", { ...hands, "data-lm-suppress-shortcuts": "true" });
    this.said = make("p", { className: "said", "aria-live": "polite" });
    this.controls = Object.entries(spec.fields)
      .map(([name, field]) => [name, field, control(name, field, (value) => this.moved(name, value))])
      .filter((entry) => entry[2]);
    const where = (large) => this.controls.filter(([, field]) => Boolean(field.large) === large).map((entry) => entry[2].element);
    const more = where(false);
    const details = more.length ? [make("details", { open: spec.open }, make("summary", {}, spec.more), make("div", { className: "more" }, ...more))] : [];
    this.sheet = make("div", { className: "sheet" }, make("h3", {}, spec.title), make("p", { className: "hint" }, spec.hint),
      make("div", { className: "picture" }, this.canvas), this.said, ...where(true), make("div", { className: "buttons" }, ...this.buttons()), ...details);
    element.classList.add("explorer");
    element.dataset.explorer = spec.name;
    element.replaceChildren(this.sheet);
  }

  buttons() {
    const { spec } = this;
    const button = (label, act, kind = "") => {
      const made = make("button", { type: "button", className: kind, "data-label": label }, label);
      made.addEventListener("click", () => { this.stopPlaying(); act(); });
      return made;
    };
    const played = Object.entries(spec.fields).find(([, field]) => field.play);
    const main = played ? [button(`▶ ${played[1].play}`, () => this.play(played[0]), "main")] : [];
    const own = this.source.buttons?.(this, button) ?? [];
    const presets = Object.entries(spec.presets).map(([label, values]) => button(label, () => this.change({ ...this.afresh(), ...values }, label)));
    const actions = spec.actions.map((action) => button(action.label, () => this.act(action)));
    this.undoButton = button("undo", () => this.undo(), "quiet");
    const copy = button("copy", () => this.copy(), "quiet");
    copy.title = this.host.link ? "copy a link to this state" : "copy this state as one line of Python";
    return [...main, ...own, ...presets, ...actions, this.undoButton, button("reset", () => this.reset(), "quiet"), copy];
  }

  /** Follow the theme and the width of the page. */
  watch(element) {
    const recolour = () => {
      this.colours = palette(this.spec.colours, isDark(element));
      for (const name of ["card", "ink", "soft", "grid", "bad", "good"]) this.sheet.style.setProperty(`--${name}`, this.colours[name]);
      this.sheet.style.setProperty("--rail", this.colours.dark ? "#4a525b" : "#c4cad1");
      this.sheet.style.setProperty("--focus", this.colours.MAML);
      if (this.words) this.say(this.words);
      this.draw();
      requestAnimationFrame(() => this.draw()); // a page that changes its theme may have been without a layout
    };
    const size = new ResizeObserver(() => this.draw());
    size.observe(this.canvas.parentElement);
    const forget = followTheme(recolour);
    this.forget = () => { size.disconnect(); forget(); };
  }

  /** Let go of everything: the panel is closed. */
  close() {
    this.stopPlaying();
    this.forget();
    this.source.close?.();
    clearTimeout(this.saving);
    clearTimeout(this.resting);
  }

  // The state ------------------------------------------------------------------------------------------------

  /** A value that a field takes, nearest to one that a hand pointed at. */
  fit(name, value) { return snapped(this.spec.fields[name], value); }

  /** A control was moved. The slider of a list says how long it is. */
  moved(name, value) {
    const field = this.spec.fields[name];
    this.stopPlaying();
    const stroke = field.kind === "pad" ? value.map((strokes) => strokes.length) : ""; // each stroke is undone by itself
    this.change(field.counts ? this.lengthened(field, value) : { [name]: value }, name + stroke);
  }

  /** Where a preset begins: the start, but what the reader has drawn or typed, and what was drawn by lot, stays. */
  afresh() {
    const kept = Object.entries(this.spec.fields).filter(([, { kind }]) => ["pad", "box", "hidden"].includes(kind));
    return { ...this.start, ...Object.fromEntries(kept.map(([name]) => [name, this.state[name]])) };
  }

  /** Lists cut, or with new items at random places, to have n. */
  lengthened(field, n) {
    return Object.fromEntries(field.counts.map((list) => {
      const old = this.state[list];
      const { low, high, fresh } = this.spec.fields[list];
      const item = () => this.fit(list, fresh ?? low + (high - low) * Math.random());
      return [list, Array.from({ length: n }, (_, i) => old[i] ?? item())];
    }));
  }

  /** Change the state by hand; `gesture` names what is undone together. */
  change(changes, gesture) {
    const now = performance.now();
    if (gesture !== this.gesture || now - this.changed > ONE_GESTURE) {
      this.undone = [...this.undone, this.state].slice(-MOST_UNDONE);
    }
    Object.assign(this, { gesture, changed: now, unsaved: true, state: { ...this.state, ...changes } });
    this.line?.remove(); // it says what was
    clearTimeout(this.saving);
    this.saving = setTimeout(() => { this.unsaved = false; this.host.save(this.state); }, SAVE_AFTER);
    this.source.changed?.(changes, this);
    this.refresh();
  }

  /** Take changes from outside, unless a hand has just moved something, or they are the echo of what it did. */
  take(changes) {
    if (this.unsaved || within(changes, this.state)) return;
    this.state = { ...this.state, ...changes };
    this.source.changed?.(changes, this);
    this.refresh();
  }

  undo() {
    const before = this.undone.at(-1);
    if (!before) return;
    const rest = this.undone.slice(0, -1);
    this.change(before, null);
    this.undone = rest;
    this.showControls();
  }

  reset() {
    this.source.reset?.();
    this.change(this.start, "reset");
  }

  /** What a button besides the presets does: the next number of a field, or other places for a list. */
  act({ field, how }) {
    const { low, high, step, counts } = this.spec.fields[field];
    if (how === "scatter") this.change({ ...this.lengthened({ counts }, 0), ...this.scattered(counts) }, null);
    else this.change({ [field]: this.state[field] + step > high ? low : this.fit(field, this.state[field] + step) }, null);
  }

  scattered(lists) {
    const n = this.state[lists[0]].length;
    const empty = this.state;
    this.state = { ...empty, ...Object.fromEntries(lists.map((list) => [list, []])) };
    const fresh = this.lengthened({ counts: lists }, n);
    this.state = empty;
    return fresh;
  }

  /** The state as a link, or as one line of Python for a cell: into the clipboard where the browser lets us, and to be seen. */
  copy() {
    const line = this.host.link?.(this.state) ?? this.asPython();
    const what = `this state as ${this.host.link ? "a link" : "Python"}`;
    this.line ??= make("input", { className: "line", type: "text", readOnly: true, "aria-label": what, "data-lm-suppress-shortcuts": "true" });
    this.line.value = line;
    this.sheet.querySelector(".buttons").append(this.line);
    this.line.select();
    navigator.clipboard?.writeText(line).then(() => this.copied(), () => {});
  }

  /** Say for a moment that it is in the clipboard. */
  copied() {
    const button = this.sheet.querySelector("[data-label=copy]");
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }

  asPython() {
    const literal = (v) => (Array.isArray(v) ? `(${v.map(literal).join(", ")},)` : typeof v === "boolean" ? (v ? "True" : "False") : JSON.stringify(v));
    const changed = Object.entries(this.state).filter(([name, v]) => JSON.stringify(v) !== JSON.stringify(this.start[name]));
    return `explorer(${changed.map(([name, v]) => `${name}=${literal(v)}`).join(", ")})`;
  }

  // The picture ----------------------------------------------------------------------------------------------

  /** Compute and draw the present state, once a frame of the screen; a source that is slow is asked one thing at a time. */
  refresh() {
    this.showControls();
    clearTimeout(this.resting);
    this.rested = !this.source.later;
    if (this.source.later) this.resting = setTimeout(() => this.later(), REST);
    if (this.computing) { this.again = true; return; }
    this.computing = true;
    requestAnimationFrame(() => this.compute());
  }

  async compute() {
    try {
      const answer = this.source.compute(this.state);
      this.show(answer instanceof Promise ? await answer : answer);
    } catch (problem) {
      this.complain(problem);
    }
    this.computing = false;
    if (this.again) { this.again = false; this.refresh(); }
  }

  /** Ask for the slow part of the frame, when the hand rests. */
  async later() {
    const { state } = this;
    try {
      const extra = await this.source.later(state);
      if (state !== this.state) return;
      this.extra = extra;
      this.show(this.frame);
    } catch (problem) {
      this.complain(problem);
    }
    this.rested = true;
  }

  /** Draw a frame and say what is seen. */
  show(frame) {
    if (!frame) return;
    this.frame = { ...frame, ...this.extra };
    this.draw();
    const words = sentence(this.spec.sentence, this.values());
    if (words !== this.words) this.say(words);
    for (const [name, , shown] of this.controls) shown.show(this.shown(name), this.frame);
    this.host.drawn?.(this);
  }

  draw(frame = this.frame) {
    if (!frame || !this.picture || !this.canvas.parentElement.clientWidth) return;
    this.picture.draw(frame, this.values(frame), this.colours, { touch: this.touch, focus: this.focus });
  }

  values(frame = this.frame) { return valuesOf(this.state, frame, this.spec.fields); }

  say(words) {
    this.words = words;
    const parts = pieces(words).map(({ text, bold, colour }) => {
      if (!bold) return make("span", {}, ...lowered(text));
      const part = make("b", {}, ...lowered(text));
      const named = colour && this.colours[filled(colour, this.values())];
      if (named) part.style.color = readable(named, this.colours);
      return part;
    });
    this.said.replaceChildren(...parts);
    this.said.classList.remove("wrong");
    this.canvas.setAttribute("aria-label", `${this.spec.title} ${this.said.textContent}`);
    const height = this.said.offsetHeight;
    if (height > (this.tallest ?? 0)) this.said.style.minHeight = `${(this.tallest = height)}px`;
  }

  /** Whether a screen reader says the sentence when it changes: not while it changes by itself. */
  speak(aloud) { this.said.setAttribute("aria-live", aloud ? "polite" : "off"); }

  complain(problem) {
    this.words = null;
    this.said.textContent = problem.message;
    this.said.classList.add("wrong");
  }

  shown(name) {
    const { counts } = this.spec.fields[name];
    return counts ? this.state[counts[0]].length : this.state[name];
  }

  showControls() {
    for (const [name, , shown] of this.controls) shown.show(this.shown(name), this.frame);
    this.undoButton?.setAttribute("aria-disabled", String(!this.undone.length)); // it keeps the focus
  }

  // Play -----------------------------------------------------------------------------------------------------

  stopPlaying() { this.playing = null; }

  /** Walk a whole number from its low end to where it is, each step smoothly where motion is welcome. */
  async play(name) {
    const { low, step, high, far = Math.min(high, low + 10 * step), pace = STRIDE } = this.spec.fields[name];
    const end = this.state[name] > low ? this.state[name] : far;
    const turn = (this.playing = {});
    this.speak(false);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let before = null;
    for (let value = low; value <= end && this.playing === turn; value += step) {
      this.state = { ...this.state, [name]: value };
      const after = { ...(await this.source.compute(this.state)), ...this.extra };
      await this.glide(before, after, before ? pace : 0, calm, turn);
      before = after;
      if (this.playing === turn) this.show(after);
    }
    if (this.playing === turn) this.playing = null;
    this.speak(true);
    this.change({ [name]: this.state[name] }, "play");
  }

  /** Draw frames between two for some ms. */
  glide(from, to, duration, calm, turn) {
    const begun = performance.now();
    return new Promise((done) => {
      const next = (now) => {
        const share = duration ? Math.min(1, (now - begun) / duration) : 1;
        if (share >= 1 || this.playing !== turn) { done(); return; }
        if (!calm) this.draw(between(from, to, share));
        requestAnimationFrame(next);
      };
      requestAnimationFrame(next);
    });
  }
}
