/** How `<progress-job>` looks, wherever it stands: it takes nothing from the page around it but the width. */

const LIGHT = `
  --surface: #ffffff; --line: #dfe3e8; --text: #1b2230; --muted: #5a6474; --track: #e4e8ee;
  --accent: #2457d6; --accent-soft: #e8eefc; --good: #12734a; --good-soft: #e2f4eb; --warn: #8a5300;
  --warn-soft: #fdf0d8; --bad: #b3261e; --bad-soft: #fce8e6; --calm: #4a5568; --calm-soft: #eceff3;
  --shadow: 0 1px 2px rgb(16 24 40 / 6%), 0 8px 24px rgb(16 24 40 / 8%);`;

const DARK = `
  --surface: #171c24; --line: #2b333f; --text: #e6eaf0; --muted: #9aa5b5; --track: #2a323e;
  --accent: #7ea6ff; --accent-soft: #1c2a49; --good: #5fd39b; --good-soft: #12301f; --warn: #f2b457;
  --warn-soft: #38290f; --bad: #ff8f87; --bad-soft: #3d1a18; --calm: #aab4c3; --calm-soft: #252c37;
  --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 8px 24px rgb(0 0 0 / 40%);`;

export const CARD_STYLE = `
:host { ${LIGHT}
  display: block;
  color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  text-align: start;
}
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { ${DARK} } }
:host([theme="dark"]) { ${DARK} }
:host([hidden]), [hidden] { display: none !important; }
*, *::before, *::after { box-sizing: border-box; }

.card {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 8px;
  padding: 16px 18px;
  border: 1px solid var(--line);
  border-radius: 10px;
  background: var(--surface);
}
.card p, .card h2 { margin: 0; overflow-wrap: anywhere; }
.card-body { display: grid; grid-template-columns: minmax(0, 1fr); gap: 8px; }
.lines { display: grid; grid-template-columns: minmax(0, 1fr); gap: 6px; }
.head { display: flex; align-items: center; gap: 8px 12px; }
.name {
  flex: 1; min-width: 0; overflow: hidden; font-size: 14px; font-weight: 600; text-overflow: ellipsis;
  white-space: nowrap;
}
.line { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 16px; }
.number { font-size: 26px; font-weight: 600; line-height: 1.2; letter-spacing: -0.02em; }
.muted { color: var(--muted); }
.small { font-size: 12.5px; }
.notice { padding: 6px 10px; border-radius: 6px; background: var(--warn-soft); color: var(--warn); }
.end { font-weight: 600; }
.end[data-status="completed"] { color: var(--good); }

.badge {
  padding: 1px 9px; border-radius: 999px; background: var(--calm-soft); color: var(--calm);
  font-size: 12px; font-weight: 500; white-space: nowrap;
}
.badge[data-status="running"] { background: var(--accent-soft); color: var(--accent); }
.badge[data-status="completed"] { background: var(--good-soft); color: var(--good); }
.badge[data-status="blocked"] { background: var(--warn-soft); color: var(--warn); }
.badge[data-status="failed"], .badge[data-status="lost"] { background: var(--bad-soft); color: var(--bad); }

.bar { position: relative; height: 8px; overflow: hidden; border-radius: 999px; background: var(--track); }
.fill {
  position: absolute; inset: 0; border-radius: inherit; background: var(--accent);
  transform: scaleX(0); transform-origin: left;
}
.bar[data-tone="good"] > .fill { background: var(--good); }
.bar[data-tone="bad"] > .fill { background: var(--bad); }
.bar[data-tone="warn"] > .fill { background: var(--warn); }
.bar[data-tone="calm"] > .fill { background: var(--calm); }
.bar.indeterminate > .fill { transform: scaleX(0.3); opacity: 0.75; }

.error-block { display: grid; grid-template-columns: minmax(0, 1fr); gap: 6px; }
.error-message { color: var(--bad); font-weight: 600; white-space: pre-line; }
.error-type, pre { font: 12px/1.5 ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.error-type, summary { color: var(--muted); }
summary { width: fit-content; cursor: pointer; }
pre {
  max-height: 200px; margin: 4px 0 0; padding: 8px 10px; overflow: auto; border-radius: 6px;
  background: var(--calm-soft); white-space: pre-wrap; overflow-wrap: anywhere;
}

.close {
  display: inline-grid; place-items: center; width: 28px; height: 28px; margin: -4px -8px -4px 0; padding: 0;
  border: 0; border-radius: 6px; background: none; color: var(--muted); font: inherit; font-size: 18px;
  line-height: 1; cursor: pointer;
}
.close:hover { background: var(--calm-soft); color: var(--text); }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }

dialog {
  width: min(480px, calc(100vw - 32px)); padding: 0; border: 0; border-radius: 10px; background: none;
  color: inherit; box-shadow: var(--shadow);
}
dialog::backdrop { background: rgb(10 14 20 / 50%); }

.visually-hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}

@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .bar > .fill { background: Highlight !important; forced-color-adjust: none; }
}

@media (prefers-reduced-motion: no-preference) {
  .card { transition: opacity 0.2s; }
  .card.leaving { opacity: 0; }
  .bar.indeterminate > .fill { animation: slide 1.6s ease-in-out infinite alternate; }
  @keyframes slide {
    from { transform: translateX(0) scaleX(0.3); }
    to { transform: translateX(70%) scaleX(0.3); }
  }
}
`;
