// One colour for one role or method, in the light theme and in the dark; the names come from mapping_lib/page/plots.py.

const DARK_INK = "#e8eaed";

/** The three channels of "#rrggbb", 0 ... 255. */
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** A share of the way from one colour to another, as "#rrggbb". */
export function mixed(from, to, share) {
  const [a, b] = [channels(from), channels(to)];
  return `#${a.map((v, i) => Math.round(v + share * (b[i] - v)).toString(16).padStart(2, "0")).join("")}`;
}

/** How light a colour is, 0 ... 1 (the relative luminance of WCAG). */
export function luminance(hex) {
  const [r, g, b] = channels(hex).map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The contrast of two colours, 1 ... 21. */
export function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

/** A colour moved, by steps, towards the ink of a page until words in it can be read; black becomes the ink itself. */
export function readable(hex, { card, ink }, wanted = 4.5) {
  if (hex === "#000000") return ink;
  let share = 0;
  while (share < 1 && contrast(mixed(hex, ink, share), card) < wanted) share += 0.05;
  return mixed(hex, ink, Math.min(share, 1));
}

const DARK = "(prefers-color-scheme: dark)";

/** Whether the page around an element is dark: JupyterLab says so on its body, another page may, or the system does. */
export function isDark(element) {
  const jupyter = document.body.dataset.jpThemeLight;
  if (jupyter) return jupyter === "false";
  const theme = element.closest("[data-theme]")?.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia(DARK).matches);
}

/** Recolour now and whenever the page changes its theme; gives back what ends that. */
export function followTheme(recolour) {
  const watcher = new MutationObserver(recolour);
  for (const part of [document.documentElement, document.body]) {
    watcher.observe(part, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme"] });
  }
  const system = matchMedia(DARK);
  system.addEventListener("change", recolour);
  recolour();
  return () => { watcher.disconnect(); system.removeEventListener("change", recolour); };
}

/** All colours of a panel: roles and methods by name (as in the figures, on dark paper lightened), and paper and ink. */
export function palette(names, dark) {
  const base = dark
    ? { dark, card: "#171b20", ink: DARK_INK, soft: "#9aa4af", grid: "#2d333a", bad: "#ff7b72", good: "#3fb68b" }
    : { dark, card: "#ffffff", ink: "#1b1f24", soft: "#5f6873", grid: "#e5e7eb", bad: "#b00020", good: "#2f9e84" };
  const own = Object.entries(names).map(([name, hex]) => [name, dark ? readable(hex, base) : hex]);
  return { ...base, ...Object.fromEntries(own) };
}
