/** Words, numbers and times as people read them, and elements that hold them as text. Pure, but for `el`. */

const NOTHING = "–";
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const MOMENT = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "long",
  hourCycle: "h23",
});
const DATED = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const COUNT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const TENTHS = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/**
 * @typedef {string | number | Node | null | undefined | false} Child
 * @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute
 */

/**
 * Make an element. Children that are no nodes become text, whatever they contain; null, undefined and false
 * are left out. Of the attributes `true` is an empty one, null, undefined and false are left out, and a
 * function is a listener: `onclick`. There is no `style`: the pages' policy forbids that attribute, so set
 * `element.style` instead.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, Attribute> | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

/**
 * Let a node say this. What says it already is not touched: whoever has selected it can go on to copy it.
 * @param {Node} node
 * @param {string | null | undefined} text
 */
export function write(node, text) {
  const said = text ?? "";
  if (node.textContent !== said) node.textContent = said;
}

/**
 * `0.4 s`, `12 s`, `3 min 05 s`, `2 h 05 min`, `3 d 4 h`.
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds > 0 && seconds < 0.95) return `${TENTHS.format(Math.max(0.1, seconds))} s`;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${twoDigits(whole % MINUTE)} s`;
  if (whole < DAY)
    return `${Math.floor(whole / HOUR)} h ${twoDigits(Math.floor((whole % HOUR) / MINUTE))} min`;
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

/**
 * The time of day in the reader's zone: `14:03:22`.
 * @param {string | null | undefined} iso
 */
export function clock(iso) {
  return formatted(CLOCK, iso);
}

/**
 * The time of day, and the date unless it is today's: `14:03:22`, `31 Jan, 14:03:22`.
 * @param {string | null | undefined} iso
 * @param {number | Date} now
 */
export function when(iso, now) {
  const isToday = iso && new Date(iso).toDateString() === new Date(now).toDateString();
  return formatted(isToday ? CLOCK : DATED, iso);
}

/**
 * Date, time and zone, as the reader has them: `31 Jan 2030, 14:03:22 CET`.
 * @param {string | null | undefined} iso
 */
export function moment(iso) {
  return formatted(MOMENT, iso);
}

/**
 * `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`. A clock that is a little ahead is no time
 * before now.
 * @param {string | null | undefined} iso
 * @param {number | Date} now
 */
export function ago(iso, now) {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) return NOTHING;
  const seconds = Math.floor((Number(now) - at) / 1000);
  if (seconds < 2) return "just now";
  if (seconds < MINUTE) return `${seconds} s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${Math.floor(seconds / DAY)} d ago`;
}

/**
 * A number with the reader's separators, and at most two decimals.
 * @param {number | null | undefined} number
 */
export function count(number) {
  return isNumber(number) ? COUNT.format(number) : NOTHING;
}

/**
 * `35.5%`: cut and not rounded, so that only what is whole is 100%.
 * @param {number | null | undefined} number
 */
export function percent(number) {
  if (!isNumber(number)) return NOTHING;
  if (number <= 0 || number >= 100) return `${Math.min(100, Math.max(0, number))}%`;
  return `${TENTHS.format(Math.floor(Number((number * 10).toFixed(6))) / 10)}%`;
}

/** @param {number | null | undefined} value @returns {value is number} */
function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** @param {number} number */
function twoDigits(number) {
  return String(number).padStart(2, "0");
}

/** @param {Intl.DateTimeFormat} format @param {string | null | undefined} iso */
function formatted(format, iso) {
  const at = iso ? Date.parse(iso) : NaN;
  return Number.isNaN(at) ? NOTHING : format.format(at);
}
