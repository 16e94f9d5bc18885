// A panel that moves by itself until it is touched: it walks its sliders, one after the other, and begins anew.
import { stepAt, valueAt } from "./controls.js";

const CALM = "(prefers-reduced-motion: reduce)";
const HANDS = ["pointerdown", "keydown", "wheel"];

/** Wait some ms, and for a frame of the screen: a page that is not seen stands still. */
const after = (ms) => new Promise((done) => { setTimeout(() => requestAnimationFrame(done), ms); });

export class Tour {
  /**
   * `scenes` are {field, to, pace, rest, says}: a field walks from where it is to a value, one step in `pace` ms, and
   * rests. `row` has a button, which holds it and lets it go on, and a place for what a scene says. It begins by itself
   * if `atOnce` and where motion is welcome.
   */
  constructor(panel, scenes, row, atOnce) {
    const [button, words] = [row.querySelector("button"), row.querySelector("p")];
    Object.assign(this, { panel, scenes, button, words, scene: 0, turn: null, still: words.textContent });
    button.addEventListener("click", () => (this.turn ? this.stop() : this.go()));
    for (const hand of HANDS) panel.sheet.addEventListener(hand, () => this.stop(), { capture: true, passive: true });
    this.stop();
    button.hidden = false;
    if (atOnce && !matchMedia(CALM).matches) this.go();
  }

  stop() {
    this.turn = null;
    this.say("▶ let it move", true);
    this.words.textContent = this.still;
  }

  /** What the button says; words that change by themselves are not read aloud. */
  say(label, aloud) {
    this.button.textContent = label;
    this.panel.speak(aloud);
  }

  async go() {
    const turn = (this.turn = {});
    this.say("❚❚ pause", false);
    while (this.turn === turn) {
      await this.walk(this.scenes[this.scene], turn);
      if (this.turn === turn) this.scene = (this.scene + 1) % this.scenes.length;
    }
  }

  /** One scene. A hand that stops it leaves everything where it is. */
  async walk({ field, to, pace, rest = 900, says }, turn) {
    this.words.textContent = says;
    const about = this.panel.spec.fields[field];
    const end = stepAt(about, to);
    for (let at = stepAt(about, this.panel.state[field]); at !== end;) {
      at += Math.sign(end - at);
      this.panel.take({ [field]: valueAt(about, at) });
      await after(pace);
      if (this.turn !== turn) return;
    }
    await after(rest);
  }
}
