"use strict";
// Served at `/x`, `/x/` or `/`: what belongs to it is found beside it in each case.
const BASE = location.pathname.replace(/\/+$/, "");
const VERSION = document.body.dataset.version;
const $ = (id) => document.getElementById(id);

let source = null;
let frame = null;
// By this page's own clock: when the newest frame came, and when it last tried to connect.
let framed = 0;
let connected = 0;
let paused = false;
let chosen = inAddress();
let tab = "Overview";
let retry = 0;

function inAddress() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

// --- Text only: nothing of a frame is ever parsed as HTML.

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function set(node, text) { if (node.textContent !== text) node.textContent = text; }
function pill(node, text, kind) { set(node, text); node.className = "pill " + kind; }

const whole = new Intl.NumberFormat("en");
function count(value) { return value == null ? "–" : value < 1e7 ? whole.format(value) : compact.format(value); }
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
function rate(value) {
  if (value == null) return "–";
  return value >= 100 ? count(Math.round(value)) : value >= 10 ? value.toFixed(1) : value === 0 ? "0" : value.toFixed(2);
}
function percent(value) { return value == null ? "–" : (100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0) + " %"; }
function time(ms) {
  if (ms == null) return "–";
  if (ms < 1) return ms.toFixed(2) + " ms";
  if (ms < 1000) return (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + " ms";
  const s = ms / 1000;
  return s < 60 ? s.toFixed(1) + " s" : s < 5400 ? (s / 60).toFixed(1) + " min" : (s / 3600).toFixed(1) + " h";
}

// Rows keep their elements from frame to frame, so that the focus and a selection stay where they are.
function rows(body, items, key, make, update, empty) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  if (items.length === 0) {
    if (!old.has(" none")) {
      const row = element("tr");
      const cell = element("td", "none", empty);
      cell.colSpan = 7;
      row.dataset.key = " none";
      row.append(cell);
      body.replaceChildren(row);
    }
    set(body.firstChild.firstChild, empty);
    return;
  }
  let place = body.firstChild;
  for (const item of items) {
    const name = String(key(item));
    let row = old.get(name);
    if (row) old.delete(name);
    else { row = make(item); row.dataset.key = name; }
    update(row, item);
    if (row === place) place = place.nextSibling;
    else body.insertBefore(row, place);
  }
  for (const row of old.values()) row.remove();
}

function bar() {
  const cell = element("td");
  const box = element("div", "bar");
  const track = element("i");
  track.setAttribute("aria-hidden", "true");
  track.append(element("b"));
  box.append(element("span"), track);
  cell.append(box);
  return cell;
}
function setBar(cell, text, share, late) {
  const box = cell.firstChild;
  set(box.firstChild, text);
  box.className = late ? "bar late" : "bar";
  box.lastChild.firstChild.style.width = Math.round(100 * Math.max(0, Math.min(1, share || 0))) + "%";
}
function keyCell(text) {
  const cell = element("th", "key", text);
  cell.scope = "row";
  return cell;
}
function name(key) { return key == null ? "(key not shown)" : key === "" ? "(empty)" : key; }

// --- The key numbers, each with its past.

const TILES = [
  { label: "Calls saved", unit: "/s", past: "saved", now: (c) => rate(c.now && c.now.saved), show: rate,
    more: (c) => count(c.total.coalesced) + " in all\n" + (c.minute ? rate(c.minute.saved) + "/s over 1 min" : " ") },
  { label: "Coalescing rate", unit: "", past: "coalescing", most: 1, now: (c) => percent(c.now && c.now.coalescing), show: percent,
    more: (c) => percent(c.total.coalescing) + " in all\n" + (c.minute ? percent(c.minute.coalescing) + " over 1 min" : " ") },
  { label: "Executions", unit: "/s", past: "executions", now: (c) => rate(c.now && c.now.executions), show: rate,
    more: (c) => count(c.total.executions) + " in all\n" + (c.minute ? rate(c.minute.executions) + "/s over 1 min" : " ") },
  { label: "Flights under way", unit: "", past: "flights", now: (c) => count(c.flights), show: count,
    more: (c) => c.oldest.length ? "oldest " + time(c.oldest[0].age_ms) : "none" },
  { label: "Callers waiting", unit: "", past: "waiters", now: (c) => count(c.waiters), show: count,
    more: (c) => c.flights ? rate(c.waiters / c.flights) + " per flight" : "" },
  { label: "Flight duration, p99", unit: "", past: "p99_ms", now: (c) => time(c.p99_ms), show: time,
    more: (c) => c.hot == null ? "needs Builder::profile" : c.p50_ms == null ? "no flight ended" : "p50 " + time(c.p50_ms) },
];
const SVG = "http://www.w3.org/2000/svg";
for (const tile of TILES) {
  const item = element("li");
  tile.value = element("div", "value");
  tile.number = element("span");
  tile.value.append(tile.number, element("span", "unit", tile.unit));
  tile.note = element("div", "more");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 120 34");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  tile.path = document.createElementNS(SVG, "path");
  svg.append(tile.path);
  tile.svg = svg;
  item.append(element("div", "label", tile.label), tile.value, tile.note, svg);
  $("tiles").append(item);
}

// A pause between points is a gap in the line.
function draw(tile, coalescer, tick) {
  const ago = coalescer.past.seconds_ago;
  const values = coalescer.past[tile.past];
  const known = values.filter((value) => value != null);
  const most = tile.most || Math.max(...known, 0) || 1;
  const span = 120 * tick;
  let path = "";
  let last = null;
  values.forEach((value, index) => {
    const seconds = ago[index];
    if (value == null || seconds > span) { last = null; return; }
    const joined = last !== null && last - seconds < 3 * tick;
    const x = (120 - (120 * seconds) / span).toFixed(1);
    path += (joined ? "L" : "M") + x + " " + (32 - (30 * value) / most).toFixed(1) + (joined ? "" : "h.1");
    last = seconds;
  });
  tile.path.setAttribute("d", path || "M0 0");
  const range = known.length ? "lowest " + tile.show(Math.min(...known)) + ", highest " + tile.show(Math.max(...known)) : "no numbers yet";
  tile.svg.setAttribute("aria-label", tile.label + " over the last " + Math.round(span) + " seconds: " + range);
}

// --- One coalescer.

function showOldest(coalescer, actions) {
  const forgets = actions.includes("forget");
  const limit = coalescer.limit_ms;
  set($("oldest-hint"), limit ? "The bar is full at the time limit of " + time(limit) + "." : "There is no time limit; bars compare with the oldest.");
  $("oldest").querySelector(".act").hidden = !forgets;
  const full = limit || (coalescer.oldest.length ? coalescer.oldest[0].age_ms : 1);
  rows($("oldest").tBodies[0], coalescer.oldest, (flight) => flight.flight, () => {
    const row = element("tr");
    row.append(keyCell(), element("td", "n"), bar(), element("td", "n rare"), element("td", "act"));
    return row;
  }, (row, flight) => {
    const [key, waiters, age, number, act] = row.children;
    set(key, name(flight.key));
    set(waiters, count(flight.waiters));
    setBar(age, time(flight.age_ms), flight.age_ms / full, limit && flight.age_ms > 0.8 * limit);
    set(number, flight.flight);
    act.hidden = !forgets;
    if (forgets && !act.firstChild) {
      const button = element("button", "", "Forget");
      button.type = "button";
      button.setAttribute("aria-label", "Forget flight " + flight.flight);
      button.onclick = () => order("Forget this flight? The next join of its key starts a new one. Callers that wait keep waiting.",
        { action: "forget", coalescer: chosen, flight: flight.flight });
      act.append(button);
    }
  }, "No flight is under way.");
}

function showHot(coalescer) {
  const hot = coalescer.hot;
  const unnamed = hot && hot.some((key) => key.key == null);
  set($("hot-hint"), !hot ? "" : "Of the last one to two minutes, counted when a flight ends." +
    (unnamed ? " Builder::describe names keys." : ""));
  const items = (hot || []).map((key, index) => ({ ...key, index }));
  rows($("hot").tBodies[0], items, (key) => key.index, () => {
    const row = element("tr");
    row.append(keyCell(), element("td", "n"), bar());
    return row;
  }, (row, key) => {
    const [text, saved, share] = row.children;
    const error = (key.at_most - key.at_least) / 2;
    const middle = key.at_least + error;
    set(text, name(key.key));
    set(saved, count(Math.round(middle)) + (error ? " ± " + count(Math.ceil(error)) : ""));
    const part = coalescer.hot_saved ? middle / coalescer.hot_saved : 0;
    setBar(share, percent(Math.min(1, part)), part);
  }, hot ? "No key has saved a call." : "Not counted. Builder::profile turns it on.");
}

function showShards(coalescer) {
  const shards = coalescer.shards;
  const skew = shards.skew == null ? "" : " The busiest has " + rate(shards.skew) + " times the mean.";
  const shown = shards.rows.length < shards.count ? " The busiest " + shards.rows.length + " are shown." : "";
  set($("shards-hint"), count(shards.count) + (shards.count === 1 ? " shard." : " shards.") + skew + shown);
  const most = Math.max(...shards.rows.map((shard) => shard[1] || 0)) || 1;
  rows($("shards").tBodies[0], shards.rows, (shard) => shard[0], () => {
    const row = element("tr");
    const number = element("th", "n");
    number.scope = "row";
    row.append(number, bar(), element("td", "n"), element("td", "n"));
    return row;
  }, (row, [shard, joins, flights, waiters]) => {
    const cells = row.children;
    set(cells[0], String(shard));
    setBar(cells[1], rate(joins), (joins || 0) / most);
    set(cells[2], count(flights));
    set(cells[3], count(waiters));
  }, "No shard.");
}

function showPanels(box, panels) {
  const old = new Map([...box.children].map((section) => [section.dataset.title, section]));
  for (const panel of panels) {
    let section = old.get(panel.title);
    old.delete(panel.title);
    if (!section) {
      section = element("section");
      section.dataset.title = panel.title;
      const title = element("h3", "", panel.title);
      const table = element("table");
      const head = element("thead");
      const line = element("tr");
      for (const [text, side] of [["What", ""], ["In all, or now", "n"], ["Per second", "n"]]) {
        const cell = element("th", side, text);
        cell.scope = "col";
        line.append(cell);
      }
      head.append(line);
      table.append(head, element("tbody"));
      table.setAttribute("aria-label", panel.title);
      const scroll = element("div", "scroll");
      scroll.append(table);
      section.append(title, scroll);
      box.append(section);
    }
    rows(section.querySelector("tbody"), panel.rows, (row) => row[0], () => {
      const row = element("tr");
      row.append(keyCell(), element("td", "n"), element("td", "n"));
      return row;
    }, (row, [label, value, perSecond]) => {
      set(row.children[0], label);
      set(row.children[1], typeof value === "number" ? count(value) : String(value));
      set(row.children[2], perSecond == null ? "" : rate(perSecond));
    }, "Nothing counted.");
  }
  for (const section of old.values()) section.remove();
}

function showTabs(titles) {
  const box = $("tabs");
  const all = titles.length ? ["Overview", ...titles] : [];
  if (!all.includes(tab)) tab = "Overview";
  if ([...box.children].map((button) => button.textContent).join("\n") !== all.join("\n")) {
    box.replaceChildren(...all.map((title) => {
      const button = element("button", "", title);
      button.type = "button";
      button.setAttribute("role", "tab");
      button.onclick = () => { tab = title; show(); };
      button.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = box.children[(all.indexOf(title) + step + all.length) % all.length];
        next.click();
        next.focus();
      };
      return button;
    }));
  }
  for (const button of box.children) {
    const selected = button.textContent === tab;
    button.setAttribute("aria-selected", String(selected));
    button.setAttribute("aria-controls", button.textContent === "Overview" ? "overview" : "tab");
    button.tabIndex = selected ? 0 : -1;
  }
  $("overview").hidden = tab !== "Overview";
  $("tab").hidden = tab === "Overview";
  for (const panel of [$("overview"), $("tab")]) panel.setAttribute("aria-label", tab);
}

const STATES = { live: ["good", "live"], silent: ["warn", "silent: it doesn't answer"], stopped: ["bad", "stopped"] };

function showAll(coalescers) {
  $("all").hidden = coalescers.length < 2;
  if (coalescers.length < 2) return;
  rows($("all").querySelector("tbody"), coalescers, (coalescer) => coalescer.name, (coalescer) => {
    const row = element("tr");
    const button = element("button", "", coalescer.name);
    button.type = "button";
    button.onclick = () => { chosen = coalescer.name; location.hash = encodeURIComponent(chosen); show(); };
    const cell = element("td", "key");
    cell.append(button);
    row.append(cell, element("td"), ...["n", "n", "n rare", "n", "n"].map((side) => element("td", side)));
    return row;
  }, (row, coalescer) => {
    const now = coalescer.now || {};
    const cells = row.children;
    row.setAttribute("aria-selected", String(coalescer.name === chosen));
    cells[0].firstChild.setAttribute("aria-current", String(coalescer.name === chosen));
    set(cells[1], (STATES[coalescer.state] || ["", coalescer.state])[1] + (coalescer.enabled === false ? ", switched off" : ""));
    [rate(now.saved), percent(now.coalescing), rate(now.executions), count(coalescer.flights), count(coalescer.waiters)]
      .forEach((text, index) => set(cells[index + 2], text));
  }, "");
}

function show() {
  if (!frame) return;
  const coalescers = frame.coalescers;
  if (!coalescers.some((coalescer) => coalescer.name === chosen)) chosen = coalescers[0].name;
  const coalescer = coalescers.find((candidate) => candidate.name === chosen);
  showAll(coalescers);
  set($("name"), coalescer.name);
  const off = coalescer.enabled === false;
  const part = coalescer.rollout < 1 ? percent(coalescer.rollout) + " of the keys are coalesced" : "";
  if (coalescer.state !== "live") pill($("mode"), STATES[coalescer.state][1], STATES[coalescer.state][0]);
  else pill($("mode"), off ? "switched off: every call runs" : part, "warn");
  const button = $("switch");
  button.hidden = !frame.actions.includes("set_enabled") || coalescer.state !== "live";
  set(button, off ? "Switch coalescing on" : "Switch coalescing off");
  button.onclick = () => order(off ? "Switch coalescing on again?" : "Switch coalescing off? Every call then runs its own work.",
    { action: "set_enabled", coalescer: chosen, enabled: off });
  if (!coalescer.total) {
    // It had stopped before anybody looked.
    $("overview").hidden = $("tab").hidden = true;
    $("tabs").replaceChildren();
    return;
  }
  const tabs = coalescer.panels.filter((panel) => panel.tab);
  showTabs(tabs.map((panel) => panel.title));
  for (const tile of TILES) {
    set(tile.number, tile.now(coalescer));
    set(tile.note, tile.more(coalescer));
    draw(tile, coalescer, frame.tick_ms / 1000);
  }
  showOldest(coalescer, frame.actions);
  showHot(coalescer);
  showShards(coalescer);
  showPanels($("panels"), coalescer.panels.filter((panel) => !panel.tab));
  showPanels($("tab"), tabs.filter((panel) => panel.title === tab));
}

async function order(question, body) {
  if (!confirm(question)) return;
  try {
    const answer = await fetch(BASE + "/actions",
      { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    note(answer.ok ? "" : "Not done: " + (await answer.text()));
  } catch (error) {
    note("Not done: " + error.message);
  }
}
function note(text) { set($("notice"), text); $("notice").hidden = text === ""; }

// --- The connection. By the age of the newest frame, whatever the connection looks like.

function receive(event) {
  framed = performance.now();
  retry = 0;
  const next = JSON.parse(event.data);
  if (next.version !== VERSION) note("The server has another version than this page. Load the page again.");
  if (next.last) { retry = 3; disconnect(); }
  if (paused) return;
  frame = next;
  show();
  look();
}
function disconnect() {
  if (source) source.close();
  source = null;
  retry += 1;
  setTimeout(connect, Math.min(500 * 2 ** retry, 5000) * (0.75 + Math.random() / 2));
}
function connect() {
  if (source) return;
  connected = performance.now();
  source = new EventSource(BASE + "/events");
  source.onmessage = receive;
  source.onerror = disconnect;
}
function look() {
  const age = performance.now() - framed;
  const tick = frame ? frame.tick_ms : 1000;
  const stale = frame !== null && age > 2.5 * tick + 250;
  document.body.classList.toggle("stale", stale || (frame !== null && frame.last));
  if (frame && frame.last) pill($("state"), "stopped", "bad");
  else if (stale) pill($("state"), "stale: no new numbers", "bad");
  else if (!frame) pill($("state"), "connecting", "warn");
  else pill($("state"), paused ? "paused" : "live", paused ? "warn" : "good");
  set($("age"), frame && age > 1.5 * tick ? time(age) + " old" : "");
  // A connection that only seems to live.
  if (source && Math.min(age, performance.now() - connected) > 10 * tick + 5000) disconnect();
}
$("pause").onclick = () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  set($("pause"), paused ? "Go on" : "Pause");
  document.body.classList.toggle("paused", paused);
  look();
};
addEventListener("hashchange", () => { chosen = inAddress(); show(); });
setInterval(look, 250);
connect();
